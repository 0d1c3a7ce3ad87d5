"""Requests that are HTTP, nearly HTTP, or nothing of the kind, made by a seed: the same seed makes the same ones."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_JUNK = ("", "\0", "%00", "%2F..%2f", "ü", "\x7f", "../../etc/passwd", "a" * 300, "'", '"', "{}", "-1", "1e999", "nan")
_NUMBERS = ("5", "600", "nan", "inf", "-inf", "-1", "1e999", "0x10", "5,5", "", "١٢", "5&ping_every=7", "9" * 400)
_IDS = ("", "0", "-1", "1e9", "9" * 40, "a,b", "x" * 9000, "ÿ")
_METHODS = (*("GET",) * 7, "HEAD", "POST", "PUT", "OPTIONS", "DELETE")
_NO_METHODS = ("TRACE", "CONNECT", "PRI", "get", "G\0T", "GET" * 500, "")
_NO_VERSIONS = ("HTTP/0.9", "HTTP/2.0", "HTTP/1.9", "HTTP/1.", "HTTPS/1.1", "", "\0")


@dataclass(frozen=True)
class Request:
    """What is sent on one connection, in which pieces, and whether the sender then says that it is done."""

    pieces: tuple[bytes, ...]
    half_closes: bool

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces)


class Maker:
    """`paths` are those of the cloud; `token` is the credential of a device, which about half of the requests show."""

    def __init__(self, seed: int, paths: list[str], token: str) -> None:
        self._rng = random.Random(seed)
        self._paths = paths
        self._token = token

    def request(self) -> Request:
        """The next one; one in ten is several, one behind the other."""
        text = self._one()
        if self._one_in(10):
            text = b"".join([text, *(self._one() for _ in range(self._rng.randrange(1, 5)))])
        if self._one_in(16):
            at = self._rng.randrange(len(text))
            text = text[:at] + self._rng.randbytes(self._rng.randrange(1, 20)) + text[at:]
        if self._one_in(16):
            text = text[: self._rng.randrange(len(text))]
        cuts = sorted(self._rng.sample(range(len(text)), min(len(text), 3))) if self._one_in(3) else []
        pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        return Request(tuple(pieces), self._one_in(4))

    def _one(self) -> bytes:
        """Two of three can be read as HTTP."""
        odd = self._one_in(3)
        method = self._pick((*_METHODS, *_NO_METHODS) if odd else _METHODS)
        version = self._pick(("HTTP/1.1", *_NO_VERSIONS) if odd else ("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"))
        lines = [f"{method} {self._target(odd)} {version}".encode()]
        if not self._one_in(12):
            lines.append(b"Host: cloud")
        if self._one_in(2):
            lines.append(f"Authorization: Bearer {self._token}".encode())
        for _ in range(self._pick((0, 0, 1, 1, 2, 4))):
            lines += self._header(odd)
        body = self._body(lines, odd) if self._one_in(4) else b""
        end = self._pick((b"\r\n", b"\r\n", b"\n", b"\r")) if odd else b"\r\n"
        return end.join([*lines, b"", body])

    def _target(self, odd: bool) -> str:
        path = self._pick(self._paths)
        if odd:
            path = path.replace("D1", self._pick(_JUNK))
        elif self._one_in(8):
            path = path.replace("D1", self._pick(("%00", "%2F..%2f", "a" * 300, "'", "%C3%BC", "-1")))
        if self._one_in(2):
            path += f"?ping_every={self._pick(_NUMBERS if odd else _NUMBERS[:-1])}"
            if self._one_in(3):
                path += f"&device_version={self._pick(_JUNK) if odd else '%F0%9F'}"
        fine = (path,) * 20 + (f"http://cloud{path}", f"//cloud{path}", path + "/" * 20_000, path.replace("/", "//"))
        return self._pick(
            (*fine, "*", f"http://user:pw@other:99999{path}", f"{path}#x", path + " x", "") if odd else fine
        )

    def _header(self, odd: bool) -> list[bytes]:
        rng = self._rng
        fine = (
            lambda: [f"Last-Event-ID: {self._pick(_IDS)}".encode()],
            lambda: [b"X-Large: " + b"x" * rng.choice((8_000, 70_000, 300_000))],
            lambda: [b"X-%d: y" % number for number in range(rng.choice((100, 5_000)))],
            lambda: [b"Cookie: visant_session=" + rng.randbytes(20).hex().encode() * rng.choice((1, 500))],
            lambda: [b"Expect: 100-continue"],
            lambda: [b"Connection: Upgrade", f"Upgrade: {self._pick(('websocket', 'h2c', 'TLS/1.0'))}".encode()],
            lambda: [f"Connection: {self._pick(('close', 'keep-alive', 'x', 'close, keep-alive'))}".encode()],
            lambda: [b"Accept-Encoding: gzip, br;q=nan, *;q=9"],
            lambda: [b"Range: bytes=9-1,-0,99999999999999-"],
            lambda: [b"X-Forwarded-For: " + b"1.2.3.4, " * rng.choice((1, 2_000)) + b"x"],
            lambda: [b"X-Forwarded-Host: a, b", b"X-Forwarded-Proto: gopher"],
            lambda: [b"X-Visant-Cloud: " + rng.randbytes(9).hex().encode()],
            lambda: [b"Visant-Organisation: \xff\xfe"],
            lambda: [b"Visant-Capture: " + rng.choice((b"{", b"[" * 4000, b'{"device_id":"D1"}', b"\xff"))],
        )
        broken = (
            lambda: [b"Authorization: Bearer " + rng.randbytes(12).replace(b"\n", b"") for _ in range(2)],
            lambda: [b"Host: a", b"Host: b"],
            lambda: [b"Content-Length: 0", b"Content-Length: 5"],
            lambda: [f"Content-Length: {self._pick(('-1', '1e3', '+5', '9' * 30, ' 5', '5, 5', 'x'))}".encode()],
            lambda: [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
            lambda: [f"Transfer-Encoding: {self._pick(('gzip, chunked', 'chunked, chunked', 'xchunked'))}".encode()],
            lambda: [b"X-Folded: one", b" two", b"\tthree"],
            lambda: [b"no colon at all"],
            lambda: [b": no name"],
            lambda: [b"X-Nul: a\0b"],
            lambda: [b"X y: space in a name"],
            lambda: [b"Expect: 200-nonsense"],
        )
        made: Callable[[], list[bytes]] = self._pick((*fine, *broken) if odd else fine)
        return made()

    def _body(self, lines: list[bytes], odd: bool) -> bytes:
        rng = self._rng
        body = rng.choice((b"{}", b"{", rng.randbytes(50), b"[" * 5_000, b"name=a&password=b", b"\xff\xd8\xff\xd9"))
        if self._one_in(2):
            lines.append(b"Content-Length: %d" % (len(body) + (rng.choice((0, -1, 3, 100_000)) if odd else 0)))
            return body
        lines.append(b"Transfer-Encoding: chunked")
        size = b"%x" % len(body)
        if odd:
            size = rng.choice((size, b"-1", b"g", b"f" * 17, b"0x2", b"2;" + b"e=" * 9_000, b""))
        ends: list[bytes] = [b"0\r\n\r\n", b"0\r\nX-Trailer: 1\r\n\r\n"] + ([b"", b"0\r\n"] if odd else [])
        return b"\r\n".join((size, body, self._pick(ends)))

    def _one_in(self, count: int) -> bool:
        return self._rng.randrange(count) == 0

    def _pick(self, choices: Sequence[T]) -> T:
        return self._rng.choice(choices)
