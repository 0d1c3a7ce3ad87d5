"""Pictures as files: written beside their place, compared with the record's hash, then renamed. What is whole stays.

So a file with a picture's name is that picture, whole, whatever ended the program; and the same command again goes on.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visant_cli import files, when
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
    if _is_whole(file, record):
        return Fetched(file, new=False)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with _picture(cloud, record) as pieces:
                files.whole(file, _checked(pieces, record, stopped))
            break
        except Failure as error:
            if error.status is not ExitStatus.CLOUD_AWAY or attempt == _ATTEMPTS:
                raise
        for _ in range(attempt * 10):
            if stopped():
                raise KeyboardInterrupt
            time.sleep(0.1)
    return Fetched(file, new=True)


def _is_whole(file: Path, record: dict[str, Any]) -> bool:
    try:
        if file.stat().st_size != record["bytes"]:
            return False
        with open(file, "rb") as opened:
            return bool(hashlib.file_digest(opened, "sha256").hexdigest() == record["sha256"])
    except FileNotFoundError:
        return False
    except OSError as error:
        raise files.not_stored(error, file) from None


@contextmanager
def _picture(cloud: Cloud, record: dict[str, Any]) -> Iterator[Iterator[bytes]]:
    name = record["record_id"]
    try:
        with cloud.stream(path("captures", name, "picture")) as response:
            yield response.iter_bytes(_CHUNK)
    except CloudRefused as error:
        if error.http_status == 404:
            raise NotWhole(f"record {name}: {error.line}", ExitStatus.ENDED_BADLY) from None
        raise


def _checked(pieces: Iterable[bytes], record: dict[str, Any], stopped: Callable[[], bool]) -> Iterator[bytes]:
    """The pieces of a picture. Raises NotWhole after the last one where they are not what the record says."""
    digest, length = hashlib.sha256(), 0
    for piece in pieces:
        if stopped():
            raise KeyboardInterrupt
        digest.update(piece)
        length += len(piece)
        if length > record["bytes"] + _SLACK:
            break
        yield piece
    if digest.hexdigest() != record["sha256"]:
        raise NotWhole(
            f"record {record['record_id']}: what came ({length} bytes) is not what its record says ({record['bytes']} "
            f"bytes, sha256 {record['sha256'][:12]}...): fetch it again",
            ExitStatus.ENDED_BADLY,
        )
