"""HTTP/1.1 answers and the events in them, read with little work: ten thousand streams lie in one process."""


class Answer:
    """One answer of a server, read as its bytes come. `status` is 0 until the head is there."""

    __slots__ = ("_chunked", "_left", "_rest", "ended", "retry_after", "status")

    def __init__(self) -> None:
        self.status = 0
        self.retry_after: float | None = None
        """Seconds, where the server said so."""
        self.ended = False
        """The body is whole."""
        self._chunked = False
        self._left: int | None = None
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The part of the body that these bytes bring."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if not self.status:
            head, mark, rest = data.partition(b"\r\n\r\n")
            if not mark:
                self._rest = data
                return b""
            self._head(head)
            data = rest
        if self._chunked:
            return self._chunks(data)
        if self._left is not None:
            self._left -= len(data)
            self.ended = self._left <= 0
        return data

    def _head(self, head: bytes) -> None:
        lines = head.lower().split(b"\r\n")
        self.status = int(lines[0][9:12])
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            if name == b"transfer-encoding":
                self._chunked = b"chunked" in value
            elif name == b"content-length":
                self._left = int(value)
            elif name == b"retry-after":
                self.retry_after = float(value)
        if self._left == 0 or self.status in (204, 304):
            self.ended = True

    def _chunks(self, data: bytes) -> bytes:
        body = b""
        while data:
            size_line, mark, rest = data.partition(b"\r\n")
            size = int(size_line.partition(b";")[0], 16) if mark else 0
            if not mark or len(rest) < size + 2:
                self._rest = data
                break
            if size == 0:
                self.ended = True
                break
            body = body + rest[:size] if body else rest[:size]
            data = rest[size + 2 :]
        return body


class Events:
    """The `data` of server-sent events, each one line here as on our wire."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, text: bytes) -> list[bytes]:
        """Those that are whole with this text."""
        text = self._rest + text if self._rest else text
        *blocks, self._rest = text.split(b"\n\n")
        return [line[5:] for block in blocks for line in block.split(b"\n") if line.startswith(b"data:")]
