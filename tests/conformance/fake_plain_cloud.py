"""A fake of a cloud that speaks only the plain protocol of v2.0, as it is known from the wire.

Only `data:` lines without ids; `connected` without a cloud_id; a ping only after silence; nothing is replayed; no
outcome or telemetry endpoint (404); the same trigger stored twice when it is sent twice; labels cut to 100 characters.
"""

import asyncio
import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self


@dataclass(frozen=True)
class Stored:
    """A capture as this cloud keeps it."""

    trigger_id: str
    label: str
    jpeg: bytes
    body: dict[str, Any]


class FakePlainCloud:
    """`async with FakePlainCloud(port, "FLOOR1") as cloud`. `silence` seconds pass before a ping.

    It listens on `host`; port 0 becomes one that is free. With a `cloud_id` it names itself as ours does, and is as
    plain in all else.
    """

    def __init__(
        self, port: int, device_id: str, *, silence: float = 60.0, host: str = "127.0.0.1", cloud_id: str | None = None
    ) -> None:
        self.host = host
        self.port = port
        self.device_id = device_id
        self.captures: list[Stored] = []
        self.not_found: list[str] = []
        """Paths that this cloud does not know."""
        self.pings = 0
        self.connections = 0
        self.upload_status = 201
        """Set it to refuse uploads."""
        self._silence = silence
        self._connected: dict[str, Any] = {"event": "connected", "device_id": device_id}
        if cloud_id is not None:
            self._connected["cloud_id"] = cloud_id
        self._streams: set[asyncio.Queue[dict[str, Any] | None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def connected(self) -> bool:
        """Whether a device listens."""
        return bool(self._streams)

    def trigger(self, kind: str = "manual") -> str:
        """Sends a capture command to whoever listens now; nobody else ever hears of it."""
        trigger_id = f"{kind}_{self.device_id}_{datetime.now(UTC):%Y%m%d_%H%M%S_%f}"
        self.send({"cmd": "capture", "trigger_id": trigger_id, "type": kind})
        return trigger_id

    def send(self, message: dict[str, Any]) -> None:
        """Any message, to whoever listens now."""
        for queue in self._streams:
            queue.put_nowait(message)

    def hang_up(self) -> None:
        """Ends every stream; the devices come back."""
        for queue in self._streams:
            queue.put_nowait(None)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self.host, self.port, limit=64 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the device went away, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, _ = head.split("\r\n", 1)[0].split(" ", 2)
            path = target.split("?")[0]
            lengths = [line.split(":")[1] for line in head.split("\r\n") if line.lower().startswith("content-length:")]
            body = await reader.readexactly(int(lengths[0]) if lengths else 0)
            if method == "GET" and path == f"/v1/devices/{self.device_id}/commands":
                await self._stream(writer)
                return
            if method == "POST" and path == "/v1/captures":
                status, answer = self._store(body)
            else:
                self.not_found.append(path)
                status, answer = 404, {"detail": "Not Found"}
            text = json.dumps(answer).encode()
            head_out = (
                f"HTTP/1.1 {status} Plain\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
            )
            writer.write(head_out.encode() + text)
            await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n")
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        queue.put_nowait(self._connected)
        self._streams.add(queue)
        try:
            while True:
                try:
                    message = await asyncio.wait_for(queue.get(), self._silence)
                    if message is None:
                        return
                except TimeoutError:
                    message = {"event": "ping"}
                    self.pings += 1
                writer.write(f"data: {json.dumps(message)}\n\n".encode())
                await writer.drain()
        finally:
            self._streams.discard(queue)

    def _store(self, body: bytes) -> tuple[int, dict[str, Any]]:
        if self.upload_status != 201:
            return self.upload_status, {"detail": "not now"}
        found = json.loads(body)
        try:
            jpeg = base64.b64decode(found["image_base64"], validate=True)
        except ValueError:
            return 400, {"detail": "Invalid base64 image"}
        if found["device_id"] != self.device_id:
            return 404, {"detail": "Device not found"}
        label = str(found.get("trigger_label") or "")
        if len(label) > 100:
            return 422, {"detail": "trigger_label: at most 100 characters"}
        self.captures.append(Stored(str(found.get("trigger_id")), label, jpeg, found))
        return 201, {"record_id": f"rec_{len(self.captures)}", "device_id": self.device_id}
