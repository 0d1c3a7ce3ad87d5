"""Pictures as files: written beside their place, compared with the record's hash, then renamed. What is whole stays.

So a file with a picture's name is that picture, whole, whatever ended the program; and the same command again goes on.
"""

import errno
import hashlib
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visant_cli import when
from visant_cli.cloud import Cloud, path
from visant_cli.failure import CloudRefused, ExitStatus, Failure
from visant_cli.safe_text import file_name

_CHUNK = 1 << 18
_ATTEMPTS = 4
_SLACK = 1 << 16
"""Bytes that an answer may be longer than its record says before it is given up."""


@dataclass(frozen=True)
class Fetched:
    """A picture that lies at `file`, whole. `new`: it was not there before."""

    file: Path
    new: bool


class NotWhole(Failure):
    """One picture is not to be had; others may be."""


def place(folder: Path, record: dict[str, Any]) -> Path:
    """Where a picture lies: `FOLDER/DEVICE/2026-11-30/DEVICE_20261130T140501.250Z_RECORD.jpg`, the time being UTC."""
    device, at = file_name(str(record["device_id"])), when.parsed(record["captured_at"])
    if at is None:
        raise NotWhole(f"record {record['record_id']}: captured_at is no time", ExitStatus.ENDED_BADLY)
    stamp = when.rfc3339(at)
    moment = re.sub(r"[-:]", "", stamp[:19]) + stamp[19:23] + "Z"
    return folder / device / stamp[:10] / f"{device}_{moment}_{file_name(str(record['record_id']))}.jpg"


def fetch(cloud: Cloud, record: dict[str, Any], file: Path, *, stopped: Callable[[], bool] = bool) -> Fetched:
    """The picture of a record into `file`, unless it is there.

    Raises NotWhole for a picture that is lost or not as its record says, other Failures where no picture can be had or
    stored: a full disk, a cloud that is away. `stopped`: whether to give up now, as KeyboardInterrupt.
    """
    try:
        if _is_whole(file, record):
            return Fetched(file, new=False)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.part")
        try:
            _try_again(cloud, record, part, stopped)
            part.replace(file)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
    except OSError as error:
        raise _not_stored(error, file) from None
    return Fetched(file, new=True)


def _is_whole(file: Path, record: dict[str, Any]) -> bool:
    try:
        if file.stat().st_size != record["bytes"]:
            return False
        with open(file, "rb") as opened:
            return bool(hashlib.file_digest(opened, "sha256").hexdigest() == record["sha256"])
    except FileNotFoundError:
        return False


def _try_again(cloud: Cloud, record: dict[str, Any], part: Path, stopped: Callable[[], bool]) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _into(cloud, record, part, stopped)
        except Failure as error:
            if error.status is not ExitStatus.CLOUD_AWAY or attempt == _ATTEMPTS:
                raise
        for _ in range(attempt * 10):
            if stopped():
                raise KeyboardInterrupt
            time.sleep(0.1)
    return None


def _into(cloud: Cloud, record: dict[str, Any], part: Path, stopped: Callable[[], bool]) -> None:
    name, digest, length = record["record_id"], hashlib.sha256(), 0
    try:
        with cloud.stream(path("captures", name, "picture")) as response, open(part, "wb") as opened:
            for piece in response.iter_bytes(_CHUNK):
                if stopped():
                    raise KeyboardInterrupt
                digest.update(piece)
                length += len(piece)
                if length > record["bytes"] + _SLACK:
                    break
                opened.write(piece)
            opened.flush()
            os.fsync(opened.fileno())
    except CloudRefused as error:
        if error.http_status == 404:
            raise NotWhole(f"record {name}: {error.line}", ExitStatus.ENDED_BADLY) from None
        raise
    if digest.hexdigest() != record["sha256"]:
        raise NotWhole(
            f"record {name}: what came ({length} bytes) is not what its record says ({record['bytes']} bytes, "
            f"sha256 {record['sha256'][:12]}...): fetch it again",
            ExitStatus.ENDED_BADLY,
        )


def _not_stored(error: OSError, file: Path) -> Failure:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(f"{file.parent}: the disk is full: make room, then the same command goes on", ExitStatus.LOCAL)
    return Failure(f"{file}: {error.strerror or error}: the picture was not stored", ExitStatus.LOCAL)
