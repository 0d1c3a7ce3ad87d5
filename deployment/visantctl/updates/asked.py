"""What the cloud asked of the updater: one small file of the uploader's, read as a stranger wrote it, heeded once.

The container writes it into the spool's folder, where it may do what it likes: link it to anything, make it huge, write
it again after a reboot. So nothing is followed, waited for or believed but one of four words and a version, and what
can be asked for is no more than what happens at night anyway: signature and gate (decide.py) judge as always.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from visantctl.errors import Refused
from visantctl.host import durable
from visantctl.host.env_file import SERVICE_ID
from visantctl.host.log import now
from visantctl.host.place import Place
from visantctl.host.settings import Settings
from visantctl.version import is_version

FILE = "update-request.json"
_MAX = 1000
"""Bytes; the uploader writes at most about 300."""
_KEPT = 20
"""Ids of requests that were heeded."""


@dataclass(frozen=True)
class Request:
    """One of them. `id`: of the cloud's command; empty for what stands in the settings of each stream."""

    id: str
    word: str
    """now, hold, resume or pin."""
    version: str = ""
    """Of a pin."""


@dataclass(frozen=True)
class Wish:
    """What the cloud wants until it says otherwise."""

    held: bool = False
    pin: str = ""
    since: str = ""
    heeded: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """For status and telemetry; empty where it wants nothing."""
        return "on hold" if self.held else f"pinned to {self.pin}" if self.pin else ""

    @classmethod
    def read(cls, place: Place) -> Wish:
        """As it was written last; none where the card damaged it: then releases are taken as they come."""
        value = durable.read_json(_memory(place))
        given = value if isinstance(value, dict) else {}
        pin, heeded = given.get("pin"), given.get("heeded")
        return cls(
            held=given.get("held") is True,
            pin=pin if isinstance(pin, str) and is_version(pin) else "",
            since=str(given.get("since", ""))[:40],
            heeded=tuple(one for one in heeded if isinstance(one, str)) if isinstance(heeded, list) else (),
        )

    def after(self, request: Request) -> Wish:
        """What it wants then."""
        heeded = (*self.heeded, request.id)[-_KEPT:] if request.id else self.heeded
        if request.word == "now":
            return replace(self, heeded=heeded)
        wanted = (request.word == "hold", request.version if request.word == "pin" else "")
        since = self.since if wanted == (self.held, self.pin) else now()
        return Wish(*wanted, since, heeded)

    def applied(self, settings: Settings) -> Settings:
        """The settings of this device; a person's UPDATE_PIN is stronger than the cloud's."""
        if self.pin and not settings.pin:
            settings = replace(settings, pin=self.pin, pinned_by_cloud=True)
        return replace(settings, held=self.held)


def heed(place: Place, file: Path, owner: int = SERVICE_ID) -> tuple[Request, bool] | None:
    """Take the request away and remember it; it, and whether a look for a release follows. None: there is none.

    Refused for what is no request; it is taken away as well. A power cut in between: remembered, and not done again.
    """
    try:
        request = _parsed(_content(file, owner))
    except FileNotFoundError:
        return None
    except Refused:
        _take_away(file)
        raise
    before = Wish.read(place)
    if request.id and request.id in before.heeded:
        _take_away(file)
        return request, False
    after = before.after(request)
    durable.write_json(_memory(place), asdict(after))
    _take_away(file)
    changed = (after.held, after.pin) != (before.held, before.pin)
    return request, request.word == "now" or (changed and request.word != "hold")


def _content(file: Path, owner: int) -> bytes:
    try:
        # Not through a link, and without waiting at a pipe that nobody writes to.
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Refused(f"{file}: {error.strerror}: no request") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != owner or found.st_size > _MAX:
            raise Refused(f"{file} is no request: not a plain file of user {owner} with at most {_MAX} bytes")
        return os.read(descriptor, _MAX)
    finally:
        os.close(descriptor)


def _parsed(content: bytes) -> Request:
    try:
        value: Any = json.loads(content)
    except (ValueError, RecursionError):
        raise Refused(f"{FILE} is no request: not JSON") from None
    given = value if isinstance(value, dict) else {}
    id, word, version = (given.get(key, "") for key in ("id", "word", "version"))
    if word not in ("now", "hold", "resume", "pin") or not isinstance(id, str):
        raise Refused(f"{FILE} is no request: its word is none of now, hold, resume and pin, or its id no text")
    if not re.fullmatch(r"[!-~]{0,200}", id) or (word == "now" and not id):
        raise Refused(f"{FILE} is no request: its id cannot be one")
    if word == "pin" and not (isinstance(version, str) and is_version(version)):
        raise Refused(f"{FILE} is no request: it pins to what is no version")
    return Request(id, word, version if word == "pin" else "")


def _take_away(file: Path) -> None:
    """Whatever it is."""
    try:
        file.unlink(missing_ok=True)
    except OSError:  # a folder of this name
        shutil.rmtree(file, ignore_errors=True)
    with contextlib.suppress(OSError):
        durable.sync_directory(file.parent)


def _memory(place: Place) -> Path:
    return place.state / "asked.json"
