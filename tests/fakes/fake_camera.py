"""A camera that does as a test says. Each picture carries its sequence number in its bytes."""

import json
import threading
import time

from tests.fakes.fake_http_server import Answer, FakeHttpServer, Request, Script
from tests.support.pictures import bare_jpeg
from visant_contract.snapshot import SnapshotInfo


def boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class FakeCamera(FakeHttpServer):
    def __init__(self, port: int = 0) -> None:
        self.size = 2000
        self.served = 0
        self.asked = 0
        self.trouble: str | None = None
        """A reason: 503."""
        self.script: Script | None = None
        self.controls: dict[str, int] = {"brightness": 0, "exposure": 100}
        self._lock = threading.Lock()
        super().__init__(port)

    def picture(self, number: int) -> bytes:
        return bare_jpeg(f"picture {number} ".encode(), b"x" * self.size)

    def answer(self, request: Request) -> Answer:
        if request.path == "/snapshot":
            with self._lock:
                self.asked += 1
            scripted = self.script(request) if self.script else None
            return scripted or self._snapshot(request)
        if request.path == "/controls" and request.method == "PUT":
            return self._want(json.loads(request.body))
        if request.path == "/state":
            return Answer(body=json.dumps({"state": self.trouble or "ok", "fps": 30.0}).encode())
        return Answer(404)

    def _snapshot(self, request: Request) -> Answer:
        if self.trouble is not None:
            wait = int(request.query["timeout_ms"][0]) / 1000
            end = time.monotonic() + min(wait, 0.2)
            while time.monotonic() < end and self.trouble is not None:
                time.sleep(0.01)
        if self.trouble is not None:
            problem = {"title": "no picture", "status": 503, "detail": "as scripted", "reason": self.trouble}
            return Answer(503, json.dumps(problem).encode())
        with self._lock:
            self.served += 1
            number = self.served
        info = SnapshotInfo(captured_boottime=boottime(), sequence=number, width=640, height=480)
        return Answer(200, self.picture(number), {"Content-Type": "image/jpeg", **info.headers()})

    def _want(self, values: dict[str, int]) -> Answer:
        became = {}
        for name, value in values.items():
            fits = name in self.controls and 0 <= value <= 200
            if fits:
                self.controls[name] = value
            became[name] = "applied" if fits else "refused: 0 to 200" if name in self.controls else "unknown"
        return Answer(body=json.dumps({"settings": became}).encode())
