"""The bodies of requests to the cloud, in small pieces: each piece that is taken is a sign of life of the uplink."""

import binascii
import json
from collections.abc import Iterator
from typing import Any, Protocol

PIECE = 12 * 1024
"""Bytes of picture a piece, a multiple of 3 so that base64 pads the last piece alone. At 600 bytes a second one takes
less than the 30 s of silence that UPLOAD_TIMEOUT allows."""


class Body(Protocol):
    """Iterate for the bytes; `len` is what Content-Length needs."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


class WholeBody:
    """A body that is there already."""

    def __init__(self, content: bytes | memoryview) -> None:
        self._content = memoryview(content)

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._content), PIECE):
            yield bytes(self._content[start : start + PIECE])


class UploadBody:
    """JSON with the picture in it: its base64 is made while it is sent, never held whole. `fields`: all the others."""

    def __init__(self, fields: dict[str, Any], picture: memoryview) -> None:
        text = json.dumps(fields, separators=(",", ":"))
        self._front = (text[:-1] + ',"image_base64":"').encode()
        self._picture = picture

    def __len__(self) -> int:
        return len(self._front) + 4 * ((len(self._picture) + 2) // 3) + 2

    def __iter__(self) -> Iterator[bytes]:
        yield self._front
        for start in range(0, len(self._picture), PIECE):
            yield binascii.b2a_base64(self._picture[start : start + PIECE], newline=False)
        yield b'"}'
