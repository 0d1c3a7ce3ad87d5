"""`GET /stream`: a live preview as multipart/x-mixed-replace, for few viewers and a limited time."""

import asyncio
import time
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from visant_camera.drivers.base import BadFrame
from visant_camera.http.problems import problem
from visant_camera.latest_frame import LatestFrame
from visant_camera.picture import Picture
from visant_runtime.lifecycle import Stop

MAX_VIEWERS = 2
DEFAULT_FPS, MAX_FPS = 5, 15
LONGEST = 600.0  # seconds; a forgotten tab must not keep the camera copying for ever
_BOUNDARY = "visant-frame"
_MULTIPART = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
_HEADERS = {"Cache-Control": "no-store"}
_LOOK = 1.0  # seconds between looks whether it is time to end


class Viewers:
    """Counts who is watching."""

    def __init__(self, latest: LatestFrame, stop: Stop, *, longest: float = LONGEST) -> None:
        self._latest = latest
        self._stop = stop
        self._longest = longest
        self._count = 0

    async def answer(self, request: Request) -> Response:
        """503 for one viewer too many; `?fps=` from 1 to 15."""
        text = request.query_params.get("fps", str(DEFAULT_FPS))
        if not (text.isascii() and text.isdecimal() and len(text) < 3 and 1 <= int(text) <= MAX_FPS):
            return problem(422, f"fps={text[:40]!r}: it must be a whole number from 1 to {MAX_FPS}")
        if request.method == "HEAD":  # what a picture's header would be; nobody who watches
            return Response(headers=_HEADERS, media_type=_MULTIPART)
        if self._count >= MAX_VIEWERS:
            return problem(503, f"{MAX_VIEWERS} viewers are watching already: close one of the pages")
        return _Stream(self, int(text))

    async def pictures(self, fps: int) -> AsyncIterator[bytes]:
        """JPEGs, each newer than the one before, until the time is up or the service stops."""
        end = time.monotonic() + self._longest
        since = time.monotonic() - 1 / fps  # nothing that was taken before somebody looked
        while not self._stop.is_set() and time.monotonic() < end:
            try:
                picture = await self._latest.picture(since, _LOOK)
                since = picture.exposed.monotonic + 0.9 / fps  # 0.9: a frame on the beat must not be missed by jitter
                yield await _jpeg(picture)
            except (TimeoutError, BadFrame):
                continue

    def __enter__(self) -> "Viewers":
        self._count += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._count -= 1


async def _jpeg(picture: Picture) -> bytes:
    return picture.jpeg() if picture.ready else await asyncio.to_thread(picture.jpeg)


class _Stream(Response):
    """Ends when the viewer leaves, also while no frame comes."""

    def __init__(self, viewers: Viewers, fps: int) -> None:
        super().__init__(headers=_HEADERS, media_type=_MULTIPART)
        del self.headers["content-length"]
        self._viewers = viewers
        self._fps = fps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._viewers:
            sending = asyncio.create_task(self._send_pictures(send))
            leaving = asyncio.create_task(_left(receive))
            try:
                await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (sending, leaving):
                    task.cancel()
                await asyncio.wait({sending, leaving})
            error = None if sending.cancelled() else sending.exception()
            if error is not None and not isinstance(error, OSError):  # OSError: the connection broke
                raise error

    async def _send_pictures(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for jpeg in self._viewers.pictures(self._fps):
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
            await send({"type": "http.response.body", "body": head + jpeg + b"\r\n", "more_body": True})
        await send({"type": "http.response.body", "body": f"--{_BOUNDARY}--\r\n".encode()})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
