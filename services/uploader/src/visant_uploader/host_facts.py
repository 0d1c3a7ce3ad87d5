"""What visantctl wrote about the host, read as a stranger wrote it: bounded, typed, and no older than it may be."""

import os
import stat
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from visant_contract.telemetry import HostFacts
from visant_runtime.clock import Moment
from visant_runtime.log_throttle import LogThrottle

log = structlog.get_logger()

MAX_BYTES = 16 * 1024
"""visantctl writes about 1 KB."""
GOOD_FOR = 600.0
"""Seconds: two of visantctl's intervals."""
_ROUNDING = 1.0


class _Written(BaseModel):
    """The file. Its time is CLOCK_BOOTTIME, which is the same in every container of a host and which nobody can set."""

    model_config = ConfigDict(extra="ignore")

    boot_id: str
    boottime: float
    facts: HostFacts


class HostFactsFile:
    """`file`: HOST_FACTS_FILE; None: there is none."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._said = LogThrottle()

    def read(self, moment: Moment) -> HostFacts | None:
        """As they are now, with their age; the age alone where they are too old. None: there are none to be had."""
        if self._file is None:
            return None
        try:
            found = _judged(_content(self._file), moment)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            text = _plainly(error)
            if self._said.again(text):
                log.warning(
                    "what visantctl says of the host cannot be used: sudo systemctl restart visant-device-v2",
                    file=str(self._file),
                    detail=text,
                )
            return None
        self._said.over()
        return found


def _content(file: Path) -> bytes:
    # Not through a link, and without waiting at a pipe that nobody writes to.
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no plain file")
        if found.st_uid not in (0, os.geteuid()):
            raise ValueError(f"it belongs to user {found.st_uid}, not to root")
        if found.st_size > MAX_BYTES:
            raise ValueError(f"{found.st_size} bytes are more than {MAX_BYTES}")
        return os.read(descriptor, MAX_BYTES)
    finally:
        os.close(descriptor)


def _judged(content: bytes, moment: Moment) -> HostFacts:
    written = _Written.model_validate_json(content)
    age = moment.boottime - written.boottime
    if written.boot_id != moment.boot_id or not age >= -_ROUNDING:  # nan as well
        raise ValueError("it is not of this boot")
    age = round(max(0.0, age), 1)
    return written.facts.model_copy(update={"age": age}) if age <= GOOD_FOR else HostFacts(age=age)


def _plainly(error: OSError | ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"[:200]
    return (error.strerror or "") if isinstance(error, OSError) else str(error)
