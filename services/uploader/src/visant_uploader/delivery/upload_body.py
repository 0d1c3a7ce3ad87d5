"""The body of `POST /v1/captures` in pieces: the picture's base64 is made while it is sent, never held whole."""

import binascii
import json
from collections.abc import Iterator
from typing import Any

PIECE = 192 * 1024
"""Bytes of picture a piece, a multiple of 3 so that only the last piece is padded."""


class UploadBody:
    """`fields` are all but the picture; iterate for the bytes, `len` is what Content-Length needs."""

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
