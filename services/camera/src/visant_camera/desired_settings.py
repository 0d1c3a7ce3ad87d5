"""What the cloud wants the camera's settings to be: kept, and applied to whichever camera is open, at each open.

A person's choice at the camera (SavedValues) is of one camera; of two words about one setting the newer one counts.
"""

import contextlib
import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import structlog

from visant_camera.control_values import NotAllowed, Values, as_wish, check, in_order, read_object
from visant_camera.drivers.base import ControlRefused, Driver
from visant_runtime import durable

log = structlog.get_logger()

_FILE = "desired.json"
_MOST = 100
"""Settings; a camera has about twenty."""

APPLIED, WAITING, UNKNOWN = "applied", "waiting", "unknown"
"""What became of a setting, as `/state` and the telemetry say it; else `refused: ` and why."""


def read_desired(body: bytes) -> dict[str, Any]:
    """A JSON object of any settings. Raises NotAllowed."""
    found = read_object(body)
    if len(found) > _MOST:
        raise NotAllowed(f"{len(found)} settings: at most {_MOST} are taken")
    return found


class DesiredSettings:
    """Safe to use from threads."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._lock = threading.Lock()
        self._values = self._load()
        self._became = dict.fromkeys(self._values, WAITING)

    def replace(self, values: Mapping[str, Any]) -> None:
        """These are wanted from now on, and no others; durable when this returns, where the disk takes it."""
        with self._lock:
            changed = self._values != values
            self._values = dict(values)
            self._became = dict.fromkeys(values, WAITING)
            if changed:
                self._keep()

    def forget(self, names: Iterable[str]) -> None:
        """Somebody at the camera has chosen otherwise."""
        with self._lock:
            if gone := self._values.keys() & set(names):
                self._values = {name: value for name, value in self._values.items() if name not in gone}
                self._became = {name: self._became[name] for name in self._values}
                self._keep()

    def became(self) -> dict[str, str]:
        """Each setting and what became of it."""
        with self._lock:
            return dict(self._became)

    def apply(self, driver: Driver) -> None:
        """To the camera that is open, by the thread that may. Raises CameraError where it does not answer."""
        with self._lock:
            values = dict(self._values)
        if not values:
            return
        controls = driver.controls()
        known = {one.name for one in controls}
        became = dict.fromkeys(values, UNKNOWN)
        fitting: Values = {}
        for name in values.keys() & known:
            try:
                fitting |= check(as_wish({name: values[name]}), controls)
            except NotAllowed as error:
                became[name] = f"refused: {error}"
        for name, value in in_order(fitting, controls):
            try:
                driver.set_control(name, value)
                became[name] = APPLIED
            except ControlRefused as error:
                became[name] = f"refused: {name}={value}: {error}"
        with self._lock:
            if values == self._values:
                self._became = became
        for name, what in became.items():
            if what not in (APPLIED, UNKNOWN):
                log.warning("a setting that the cloud wants does not fit this camera", setting=name, reason=what)

    def _load(self) -> dict[str, Any]:
        try:
            return read_object(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            log.warning("the cloud's settings are ignored", file=str(self._path), error=error.strerror)
        except NotAllowed:
            kept = self._path.with_suffix(".damaged")
            with contextlib.suppress(OSError):
                self._path.replace(kept)
            log.warning("the cloud's settings are ignored", file=str(self._path), error=f"damaged; kept as {kept.name}")
        return {}

    def _keep(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            durable.write(self._path, [json.dumps(self._values, indent=1).encode()])
        except OSError as error:
            log.warning("the cloud's settings last until a restart", file=str(self._path), error=error.strerror)
