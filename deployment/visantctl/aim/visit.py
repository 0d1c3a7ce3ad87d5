"""One visitor's requests: the PIN first, then a few are handed on to the camera service on this device's loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from visantctl.aim.gate import TRIES_AN_ADDRESS

if TYPE_CHECKING:
    from visantctl.aim.door import Door

PATHS = {"GET": {"/", "/stream", "/snapshot", "/state", "/controls"}, "PATCH": {"/controls"}}
"""What the page needs of the camera service; nothing else of it can be reached from outside."""
COOKIE = "visant_aim"
_MAX_BODY = 65_536
_PATIENCE = 20.0
"""Seconds without a byte from either side."""
_SIGN_IN = Template(Path(__file__).with_name("sign_in.html").read_text(encoding="utf-8"))
_KEPT = ("Content-Type", "Content-Length", "Cache-Control", "Last-Modified", "ETag")


class Visit(BaseHTTPRequestHandler):
    server: Door
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        pin = parse_qs(parts.query).get("pin")
        if parts.path == "/" and pin:  # the QR code's address
            self._enter(pin[0])
        elif self._known():
            self._pass_on(parts.path, parts.query, b"")
        elif parts.path == "/":
            self._sign_in(401)
        else:
            self._refuse(401, "Give the PIN first: open the page again")

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            return
        if urlsplit(self.path).path != "/pin":
            self._refuse(404, "There is no such page")
            return
        self._enter(parse_qs(body.decode("utf-8", "replace")).get("pin", [""])[0])

    def do_PATCH(self) -> None:
        body = self._body()
        if body is None:
            return
        if self._known():
            self._pass_on(urlsplit(self.path).path, "", body)
        else:
            self._refuse(401, "Give the PIN first: open the page again")

    def _enter(self, pin: str) -> None:
        who, gate = str(self.client_address[0]), self.server.gate
        answer, session = gate.enter(who, pin)
        if answer == "right":
            self.server.say(f"{who} signed in")
            self.send_response(303)
            self.send_header("Location", "/")
            self.send_header("Set-Cookie", f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict")
            self._end(b"")
            return
        if answer == "wrong":
            left = gate.left(who)
            self.server.say(f"{who}: wrong PIN, {left} tries left")
            if left > 0:
                self._sign_in(403, f"That is not the PIN. {left} {'try' if left == 1 else 'tries'} left.")
                return
        self._sign_in(429, f"{TRIES_AN_ADDRESS} wrong PINs: this phone has to wait for the next visantctl aim.")

    def _known(self) -> bool:
        cookies: SimpleCookie = SimpleCookie()
        with contextlib.suppress(CookieError):
            cookies.load(self.headers.get("Cookie") or "")
        return self.server.gate.admits(cookies[COOKIE].value if COOKIE in cookies else None)

    def _body(self) -> bytes | None:
        """None: refused, and answered."""
        length = self.headers.get("Content-Length") or "0"
        if (
            not length.isascii()
            or not length.isdigit()
            or int(length) > _MAX_BODY
            or "Transfer-Encoding" in self.headers
        ):
            self.close_connection = True
            self._refuse(413, f"At most {_MAX_BODY} bytes, of a length that is told")
            return None
        return self.rfile.read(int(length))

    def _pass_on(self, path: str, query: str, body: bytes) -> None:
        if path not in PATHS[self.command]:
            self._refuse(404, "There is no such page")
            return
        camera = http.client.HTTPConnection("127.0.0.1", self.server.camera_port, timeout=_PATIENCE)
        headers = {"Content-Type": self.headers.get("Content-Type") or "application/json"} if body else {}
        try:
            camera.request(self.command, f"{path}?{query}" if query else path, body or None, headers)
            answer = camera.getresponse()
        except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: a query that is no text
            camera.close()
            self._refuse(502, f"The camera service does not answer ({error}): sudo systemctl restart visant-device-v2")
            return
        with contextlib.closing(camera), answer:
            self.send_response(answer.status)
            for name in _KEPT:
                if answer.headers.get(name):
                    self.send_header(name, answer.headers[name])
            if not answer.headers.get("Content-Length"):  # the live preview, which ends when it ends
                self.send_header("Connection", "close")
                self.close_connection = True
            self._safe_headers()
            self.end_headers()
            try:
                while chunk := answer.read1(65536):
                    self.wfile.write(chunk)
            except (OSError, http.client.HTTPException):  # either side went away: the rest cannot be sent
                self.close_connection = True

    def _sign_in(self, status: int, message: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self._end(_SIGN_IN.substitute(message=message).encode())

    def _refuse(self, status: int, detail: str) -> None:
        """In the form that the page reads."""
        self.send_response(status)
        self.send_header("Content-Type", "application/problem+json")
        self._end(json.dumps({"status": status, "detail": detail}).encode())

    def _end(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self._safe_headers()
        self.end_headers()
        self.wfile.write(body)

    def _safe_headers(self) -> None:
        # The PIN may stand in the address, and no other page may frame this one.
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("X-Content-Type-Options", "nosniff")

    def version_string(self) -> str:
        return "visantctl"

    def log_message(self, format: str, *args: object) -> None:
        """The events are said by `say`; requests are none."""
