"""One outcome as one file: a header, the picture, and the header again. Bytes in, bytes out; `read_header` alone reads.

    VISANT SPOOL 1\n
    <length of the header, 8 hex digits>\n<header JSON>\n<its SHA-256, 64 hex digits>\n
    <body: the JPEG; empty for a report>
    \n<header JSON>\n<its SHA-256>\n<its length>\nVISANT SPOOL END\n

The second copy keeps the trigger's id readable when the first lies in a damaged block: a damaged file still ends
in an outcome with a name. Every byte is checked; one wrong byte anywhere makes the file corrupt.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from visant_contract.capture import CaptureTime
from visant_contract.ids import TriggerId, trigger_key
from visant_contract.outcome import OutcomeReport

MAGIC = b"VISANT SPOOL 1\n"
END = b"VISANT SPOOL END\n"
MAX_HEADER = 64 * 1024
"""Bytes; the longest of ours (a 512 character id, a 2000 character detail) is below 16 KiB."""
PEEK = MAX_HEADER + 256
"""Bytes of either end of a file that hold a whole copy of its header."""
_DIGEST = 64
_LENGTH = 8

Kind = Literal["picture", "report"]


class SpoolHeader(BaseModel):
    """All that delivery needs to know, in the file itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Kind
    device_id: str
    cloud_id: str
    plain: bool
    """The cloud knows no outcomes and no cloud_id."""
    api_url: str
    trigger_id: TriggerId
    trigger_type: str
    device_version: str
    time: CaptureTime
    """Of the exposure; in a report, of the decision."""
    earlier: dict[str, CaptureTime] = Field(default_factory=dict)
    """Steps of this trigger before `time`, by their names in contract/stages.py."""
    clock_offset: float | None = None
    """Cloud's epoch seconds minus CLOCK_BOOTTIME in the boot of `time`, where it was known."""
    sequence: int | None = None
    width: int | None = None
    height: int | None = None
    report: OutcomeReport | None = None
    body_bytes: Annotated[int, Field(ge=0)] = 0
    body_sha256: str = ""

    def key(self) -> str:
        """The trigger's name on this device, 64 hex digits."""
        return trigger_key(self.cloud_id, self.trigger_id)

    def file_name(self) -> str:
        """`<key>.picture` or `<key>.report`."""
        return f"{self.key()}.{self.kind}"


class CorruptFile(Exception):
    """The bytes are not what was written. `header` where one of its copies can still be read."""

    def __init__(self, reason: str, header: SpoolHeader | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.header = header


@dataclass(frozen=True)
class Outcome:
    """A file, read and proven whole. `body` is the JPEG, or empty."""

    header: SpoolHeader
    body: memoryview


def encode(header: SpoolHeader, body: bytes = b"") -> tuple[SpoolHeader, list[bytes]]:
    """(the header with the body's length and digest, the file's bytes in pieces)."""
    sealed = header.model_copy(update={"body_bytes": len(body), "body_sha256": hashlib.sha256(body).hexdigest()})
    text = sealed.model_dump_json(exclude_none=True).encode()
    if len(text) > MAX_HEADER:
        raise ValueError(f"a header of {len(text)} bytes does not fit into {MAX_HEADER}")
    digest, length = hashlib.sha256(text).hexdigest().encode(), f"{len(text):08x}".encode()
    front = b"%s%s\n%s\n%s\n" % (MAGIC, length, text, digest)
    return sealed, [front, body, b"\n%s\n%s\n%s\n%s" % (text, digest, length, END)]


def decode(data: bytes) -> Outcome:
    """The outcome that `data` holds. Raises CorruptFile where a byte is wrong, missing or too many."""
    front, back = _front(data), _back(data)
    if front is None or back is None:
        damaged = "both copies of the header are" if front is back else "a copy of the header is"
        text = front or back
        raise CorruptFile(f"{damaged} damaged or missing", _header(text) if text else None)
    if front != back:
        raise CorruptFile("the two headers differ", _header(front))
    header = _header(front)
    if header is None:
        raise CorruptFile("the header has fields of another version", None)
    start = len(MAGIC) + _LENGTH + 1 + len(front) + 1 + _DIGEST + 1
    stop = len(data) - (1 + len(back) + 1 + _DIGEST + 1 + _LENGTH + 1 + len(END))
    body = memoryview(data)[start:stop]
    if len(body) != header.body_bytes:
        raise CorruptFile(f"{len(body)} bytes of picture instead of {header.body_bytes}", header)
    if hashlib.sha256(body).hexdigest() != header.body_sha256 or data[stop : stop + 1] != b"\n":
        raise CorruptFile("the picture's SHA-256 differs", header)
    return Outcome(header, body)


def peek(head: bytes, tail: bytes) -> SpoolHeader | None:
    """The header from a file's first and last `PEEK` bytes; the body is not looked at."""
    text = _front(head) or _back(tail)
    return _header(text) if text else None


def read_header(path: Path) -> SpoolHeader | None:
    """The header alone, from the file's two ends; None where neither copy can be read. Blocking."""
    try:
        with path.open("rb") as file:
            head = file.read(PEEK)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - PEEK))
            return peek(head, file.read(PEEK))
    except OSError:
        return None


def _header(text: bytes) -> SpoolHeader | None:
    try:
        return SpoolHeader.model_validate_json(text)
    except ValidationError:
        return None


def _front(data: bytes) -> bytes | None:
    """The first copy of the header's text, if it is whole."""
    at = len(MAGIC)
    if data[:at] != MAGIC:
        return None
    length = _number(data[at : at + _LENGTH])
    at += _LENGTH
    if length is None or data[at : at + 1] != b"\n":
        return None
    text = data[at + 1 : at + 1 + length]
    return _proven(text, data[at + 1 + length : at + 1 + length + 1 + _DIGEST + 1])


def _back(data: bytes) -> bytes | None:
    """The second copy."""
    at = len(data) - len(END)
    if at < 0 or data[at:] != END or data[at - 1 : at] != b"\n":
        return None
    at -= 1 + _LENGTH
    length = _number(data[at : at + _LENGTH]) if at > 0 else None
    if length is None:
        return None
    at -= 1 + _DIGEST + 1
    start = at - length
    if start < 0:
        return None
    return _proven(data[start:at], data[at : at + 1 + _DIGEST + 1])


def _number(text: bytes) -> int | None:
    if len(text) != _LENGTH or any(c not in b"0123456789abcdef" for c in text):
        return None
    value = int(text, 16)
    return value if 0 < value <= MAX_HEADER else None


def _proven(text: bytes, framed_digest: bytes) -> bytes | None:
    return text if framed_digest == b"\n%s\n" % hashlib.sha256(text).hexdigest().encode() else None
