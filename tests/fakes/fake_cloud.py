"""A cloud that does as a test says, and remembers all that it was told."""

import base64
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.fake_http_server import Answer, FakeHttpServer, Request, Script
from visant_contract.capture import CAPTURE_HEADER


def problem(status: int, detail: str = "no", **headers: str) -> Answer:
    """As our cloud refuses: problem details."""
    body = json.dumps({"type": "about:blank", "title": "No", "status": status, "detail": detail})
    return Answer(status, body.encode(), {"Content-Type": "application/problem+json", **headers})


def page(status: int, **headers: str) -> Answer:
    """As somebody on the way refuses."""
    text = b"<html><head><title>No</title></head><body><center>nginx</center></body></html>"
    return Answer(status, text, {"Content-Type": "text/html", **headers})


@dataclass
class Stored:
    """A picture that got a receipt."""

    trigger_id: str
    jpeg: bytes
    fields: dict[str, Any]
    headers: dict[str, str]
    at: float = field(default_factory=time.monotonic)


class FakeCloud(FakeHttpServer):
    """Idempotent as ours; `plain`: as the old one, it stores the same trigger twice and knows no outcomes."""

    def __init__(self, port: int = 0, *, plain: bool = False) -> None:
        self.plain = plain
        self.script: Script | None = None
        self.receipts_lost = 0
        """So many pictures are stored without an answer."""
        self.stored: list[Stored] = []
        self.outcomes: dict[str, list[dict[str, Any]]] = {}
        self.telemetry: list[dict[str, Any]] = []
        self.requests: list[tuple[float, str]] = []
        self._lock = threading.Lock()
        super().__init__(port)

    def answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append((time.monotonic(), request.path))
        scripted = self.script(request) if self.script else None
        if scripted is not None:
            return scripted
        if request.path == "/v1/captures":
            return self._capture(request)
        if request.path.endswith("/telemetry") and not self.plain:
            self.telemetry.append(json.loads(request.body))
            return Answer()
        if request.path.endswith("/outcome") and not self.plain:
            trigger_id = request.path.split("/triggers/")[1].removesuffix("/outcome")
            with self._lock:
                self.outcomes.setdefault(trigger_id, []).append(json.loads(request.body))
            return Answer(body=json.dumps({"status": self.outcomes[trigger_id][-1]["status"]}).encode())
        return Answer(404, b'{"detail":"Not Found"}')

    def _capture(self, request: Request) -> Answer:
        raw = request.headers.get("content-type") == "image/jpeg"
        if raw and CAPTURE_HEADER.lower() not in request.headers:
            return problem(422, "the header is missing")
        try:
            fields = json.loads(request.headers[CAPTURE_HEADER.lower()] if raw else request.body)
        except ValueError:
            return problem(400, "not JSON")
        trigger_id = fields["trigger_id"]
        with self._lock:
            known = None if self.plain else next((s for s in self.stored if s.trigger_id == trigger_id), None)
            if known is None:
                jpeg = request.body if raw else base64.b64decode(fields.pop("image_base64"), validate=True)
                self.stored.append(Stored(trigger_id, jpeg, fields, request.headers))
            lost = self.receipts_lost > 0
            self.receipts_lost -= lost
        body = json.dumps({"record_id": f"r-{trigger_id}"}).encode()
        return Answer(200 if known else 201, body, drop=lost)

    def captures(self) -> list[str]:
        with self._lock:
            return [stored.trigger_id for stored in self.stored]

    def reports(self, trigger_id: str) -> list[tuple[str, str | None]]:
        with self._lock:
            return [(one["status"], one.get("reason")) for one in self.outcomes.get(trigger_id, [])]
