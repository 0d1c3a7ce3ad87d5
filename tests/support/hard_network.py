"""What stands between a device and its cloud at difficult sites: an own authority, a TLS front, a proxy.

Each server listens on loopback unless told otherwise, runs in threads of its own and is a context manager.
"""

import base64
import contextlib
import select
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

_SILENCE = 600.0
"""Seconds in which nothing comes from either side, after which a connection is ended: rarer than any ping."""


class Authority:
    """A CA of the site's own, by the openssl command; `faketime` makes certificates of other times."""

    def __init__(self, folder: Path) -> None:
        if not shutil.which("openssl"):
            pytest.skip("no openssl command: apt-get install openssl")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.file = folder / "ca.pem"
        """What goes into SSL_CERT_FILE."""
        self._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "7300"),
            *("-subj", "/CN=Site CA", "-keyout", str(folder / "ca.key"), "-out", str(self.file)),
            when="-5y",
        )

    def certificate(
        self, name: str, *, address: str = "127.0.0.1", host: str = "localhost", days: int = 90, when: str = "-1d"
    ) -> Path:
        """A PEM file with key and chain for `address` and `host`, valid for `days` from `when` on."""
        stem = self._folder / name
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", f"{stem}.key", "-out", f"{stem}.csr"),
        )
        extension = stem.with_suffix(".ext")
        extension.write_text(f"subjectAltName=IP:{address},DNS:{host}\nbasicConstraints=CA:FALSE\n")
        self._openssl(
            *("x509", "-req", "-in", f"{stem}.csr", "-CA", str(self.file), "-CAkey", str(self._folder / "ca.key")),
            *("-CAcreateserial", "-days", str(days), "-extfile", str(extension), "-out", f"{stem}.crt"),
            when=when,
        )
        whole = stem.with_suffix(".pem")
        whole.write_text(Path(f"{stem}.key").read_text() + Path(f"{stem}.crt").read_text())
        return whole

    @staticmethod
    def _openssl(*words: str, when: str = "") -> None:
        if when and not shutil.which("faketime"):
            pytest.skip("no faketime command: apt-get install faketime")
        command = (["faketime", "-f", when] if when else []) + ["openssl", *words]
        # faketime names its shared memory by its own process number, and gives up where one that was killed left some.
        for _ in range(5 if when else 1):
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode == 0:
                return
        raise AssertionError(f"{' '.join(command)}: {done.stderr}")


class _Server:
    """Accepts on `host` and hands each connection to `_serve` in a thread."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._listening = socket.create_server((host, 0))
        self.port = int(self._listening.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._closing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        raise NotImplementedError

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        self._open.add(client)
        with client, contextlib.suppress(OSError, ValueError):
            self._serve(client)
        self._open.discard(client)

    def close(self) -> None:
        """Ends it, and what is open."""
        self._closing = True
        for one in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TlsFront(_Server):
    """TLS (without a certificate: none) before a server that speaks http on `target`, as a reverse proxy is.

    `target` is a port of loopback, an address, or a function that makes the whole answer from nothing.
    """

    def __init__(
        self,
        certificate: Path | None,
        target: int | tuple[str, int] | Callable[[], bytes],
        *,
        host: str = "127.0.0.1",
    ) -> None:
        self._host = host
        self._target = target
        self._context = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self.refused = 0
        """Handshakes that came to nothing: what a client does that does not accept the certificate."""
        super().__init__(host)

    @property
    def url(self) -> str:
        """What a device takes as API_URL."""
        return f"{'http' if self._context is None else 'https'}://{self._host}:{self.port}"

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(10)
        try:
            secured = client if self._context is None else self._context.wrap_socket(client, server_side=True)
        except OSError:
            self.refused += 1
            raise
        with secured:
            if callable(self._target):
                _head(secured)
                secured.sendall(self._target())
                return
            address = ("127.0.0.1", self._target) if isinstance(self._target, int) else self._target
            with socket.create_connection(address) as inner:
                _pump(secured, inner)


class NoTls(_Server):
    """Speaks plain http and wants none of what a TLS client says."""

    def _serve(self, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        client.recv(65536)


class ConnectProxy(_Server):
    """An HTTP proxy: CONNECT, and plain requests with a whole address; with a password where one is given.

    `names`: what only the proxy resolves, as proxies of sites do.
    """

    def __init__(
        self, user: str = "", password: str = "", *, host: str = "127.0.0.1", names: dict[str, str] | None = None
    ) -> None:
        self._host = host
        self._names = names or {}
        self._wanted = base64.b64encode(f"{user}:{password}".encode()).decode() if user else ""
        self._userinfo = f"{user}:{password}@" if user else ""
        self.asked: list[str] = []
        """`CONNECT host:port` and `GET http://...`, as they came."""
        super().__init__(host)

    @property
    def url(self) -> str:
        """What goes into HTTPS_PROXY."""
        return f"http://{self._userinfo}{self._host}:{self.port}"

    def _serve(self, client: socket.socket) -> None:
        head = _head(client)
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        self.asked.append(f"{method} {target}")
        if self._wanted and f"basic {self._wanted}".lower() not in head.decode().lower():
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        plain = target.removeprefix("http://").split("/", 1)[0]
        host, _, port = plain.partition(":")
        with socket.create_connection((self._names.get(host, host), int(port or 80)), timeout=10) as inner:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                inner.sendall(head.replace(f"http://{plain}".encode(), b"", 1))
            _pump(client, inner)


def _head(client: socket.socket) -> bytes:
    found = b""
    while b"\r\n\r\n" not in found:
        chunk = client.recv(65536)
        if not chunk:
            raise ValueError("no request")
        found += chunk
    return found


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Both ways until an end closes."""
    for end in (one, other):
        end.settimeout(30)
    while True:
        waiting = [end for end in (one, other) if isinstance(end, ssl.SSLSocket) and end.pending()]
        ready = waiting or select.select([one, other], [], [], _SILENCE)[0]
        if not ready:
            return
        for end in ready:
            chunk = end.recv(65536)
            if not chunk:
                return
            (other if end is one else one).sendall(chunk)
