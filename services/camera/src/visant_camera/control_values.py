"""Which control values are allowed, in which order they are set, where they are kept, and setting them again."""

import contextlib
import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import structlog
from pydantic import StrictInt, TypeAdapter, ValidationError

from visant_camera.drivers.base import Control, ControlRefused, Driver, Opened
from visant_runtime import durable

log = structlog.get_logger()
Values = dict[str, int]
_FILE = "controls.json"
_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
_SAVED: TypeAdapter[dict[str, Values]] = TypeAdapter(dict[str, dict[str, StrictInt]])


class NotAllowed(ValueError):
    """A name or value that the camera does not have; the text names what it has."""


def read_object(text: bytes) -> dict[str, Any]:
    """One JSON object of settings. NotAllowed."""
    try:
        return _OBJECT.validate_json(text)
    except ValidationError:
        raise NotAllowed('the body must be one JSON object, like {"brightness": 10}') from None


def read_wish(body: bytes) -> dict[str, int | None]:
    """`{"brightness": 10, "focus_automatic_continuous": false}`; null means back to the default. NotAllowed."""
    return as_wish(read_object(body))


def as_wish(values: Mapping[str, Any]) -> dict[str, int | None]:
    """The same of values that are read already. NotAllowed."""
    for name, value in values.items():
        if not isinstance(value, bool | int | None):
            raise NotAllowed(f"{name}: it must be a whole number, true, false or null")
    return {name: int(value) if isinstance(value, bool) else value for name, value in values.items()}


def check(wish: Mapping[str, int | None], controls: Iterable[Control]) -> Values:
    """The wish with defaults filled in. Raises NotAllowed for the first name or value the camera does not have."""
    known = {one.name: one for one in controls}
    values = {}
    for name, value in wish.items():
        control = known.get(name)
        if control is None:
            raise NotAllowed(f"{name}: the camera has no such control; it has {', '.join(known) or 'none'}")
        values[name] = control.default if value is None else value
        _check_range(control, values[name])
    return values


def _check_range(control: Control, value: int) -> None:
    if control.menu:
        if value not in control.menu:
            choices = ", ".join(f"{number} ({text})" for number, text in control.menu.items())
            raise NotAllowed(f"{control.name}={value}: it must be one of {choices}")
        return
    step = max(1, control.step)
    if not control.minimum <= value <= control.maximum or (value - control.minimum) % step:
        by = f" in steps of {step}" if step > 1 else ""
        raise NotAllowed(f"{control.name}={value}: it must be from {control.minimum} to {control.maximum}{by}")


def in_order(values: Values, controls: Iterable[Control]) -> list[tuple[str, int]]:
    """Modes first: the exposure time can be set only after exposure has become manual."""
    kinds = {one.name: one.kind for one in controls}
    return sorted(values.items(), key=lambda item: kinds.get(item[0]) == "integer")


class SavedValues:
    """The values a person has chosen, for each camera by its name, in a small file. Safe to use from threads."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._lock = threading.Lock()
        self._values = self._load()

    def of(self, camera: str) -> Values:
        """What was chosen for this camera; empty where nothing was."""
        with self._lock:
            return dict(self._values.get(camera, {}))

    def restore(self, driver: Driver, opened: Opened) -> None:
        """For Grabber(on_open=...): a camera forgets its controls when it loses power."""
        values = self.of(opened.name)
        if not values:
            return
        controls = driver.controls()
        for name, value in in_order(values, controls):
            try:
                check({name: value}, controls)
                driver.set_control(name, value)
            except (NotAllowed, ControlRefused) as error:
                log.warning("a saved control does not fit this camera", control=name, value=value, error=str(error))

    def update(self, camera: str, chosen: Mapping[str, int | None]) -> bool:
        """Takes over `chosen` (None: forget) and writes the file. False: it lasts only until the next restart."""
        with self._lock:
            values = {**self._values.get(camera, {}), **chosen}
            self._values = {**self._values, camera: {name: v for name, v in values.items() if v is not None}}
            try:
                self._write()
            except OSError as error:
                log.warning("controls are not kept across a restart", file=str(self._path), error=error.strerror)
                return False
            return True

    def _load(self) -> dict[str, Values]:
        try:
            return _SAVED.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            log.warning("saved controls are ignored", file=str(self._path), error=error.strerror)
        except ValidationError:
            kept = self._path.with_suffix(".damaged")
            with contextlib.suppress(OSError):
                self._path.replace(kept)
            log.warning("saved controls are ignored", file=str(self._path), error=f"it is damaged; kept as {kept.name}")
        return {}

    def _write(self) -> None:
        """A power cut leaves the old file or the new one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        durable.write(self._path, [json.dumps(self._values, indent=1).encode()])
