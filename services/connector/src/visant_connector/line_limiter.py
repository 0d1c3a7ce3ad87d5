"""A byte stream cut into whole lines, with bounds: what stands between the network and the SSE decoder.

The decoder keeps a line until its end comes, however long it is, and puts U+FFFD for bytes that are no UTF-8. A
line or an event beyond the limit is dropped here while it arrives, and so is a line that is not UTF-8; the rest of
the stream goes on. Pure: bytes in, lines out.
"""

import codecs
import re
from collections.abc import Callable, Iterator

_END = re.compile(rb"\r\n|\r|\n")


class LineLimiter:
    """Feed it chunks as they come; it yields lines that end with one `\\n`.

    `dropped(why)` is called once for each line that is left out. `limit` is in bytes, for one line and for all the
    lines of one event (events end with an empty line).
    """

    def __init__(self, limit: int, dropped: Callable[[str], None]) -> None:
        self._limit = limit
        self._dropped = dropped
        self._line = bytearray()
        self._event_bytes = 0
        self._overlong = False
        self._after_cr = False
        self._first = True

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that `chunk` completes."""
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")  # the second half of a CR LF that was split
        start = 0
        for end in _END.finditer(chunk):
            self._append(chunk[start : end.start()])
            start = end.end()
            yield from self._finish()
        self._after_cr = chunk.endswith(b"\r")
        self._append(chunk[start:])

    def _append(self, part: bytes) -> None:
        if self._overlong or len(self._line) + len(part) > self._limit:
            self._overlong = True
            self._line.clear()
        else:
            self._line += part

    def _finish(self) -> Iterator[bytes]:
        line, overlong = bytes(self._line), self._overlong
        self._line.clear()
        self._overlong = False
        self._event_bytes = 0 if not line and not overlong else self._event_bytes + len(line)
        if overlong or self._event_bytes > self._limit:
            self._dropped(f"longer than {self._limit} bytes")
            return
        if self._first:
            line = line.removeprefix(codecs.BOM_UTF8)
            self._first = False
        try:
            line.decode()
        except UnicodeDecodeError as error:
            self._dropped(f"not UTF-8 ({error.reason} at byte {error.start}): {line[:80]!r}")
            return
        yield line + b"\n"
