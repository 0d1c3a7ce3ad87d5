"""`GET /snapshot`: a frame whose exposure began after the request arrived, or 503 with the reason."""

import time
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from visant_camera.http.metrics import ANSWERS, WAIT
from visant_camera.http.problems import problem
from visant_camera.picture import Picture
from visant_camera.snapshots import NoFrameInTime, Snapshots
from visant_contract.outcome import REMEDY
from visant_contract.snapshot import (
    CAPTURED_AT,
    CAPTURED_BOOTTIME,
    DEFAULT_TIMEOUT_MS,
    HEIGHT,
    SEQUENCE,
    UNIFORM,
    WIDTH,
)

MAX_TIMEOUT_MS = 30_000
MAX_AGE_MS = 60_000

_CAPTURED_AT, _BOOTTIME, _SEQUENCE, _WIDTH, _HEIGHT, _UNIFORM = (
    name.lower().encode() for name in (CAPTURED_AT, CAPTURED_BOOTTIME, SEQUENCE, WIDTH, HEIGHT, UNIFORM)
)

_PICTURES = ANSWERS.labels("picture")


class SnapshotEndpoint:
    """An ASGI application of its own: nothing between the server and a picture."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request: 200, 422 for a query out of range, 503."""
        began = time.monotonic()
        try:
            query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
            timeout = _milliseconds(query, "timeout_ms", 1, MAX_TIMEOUT_MS)
            max_age = _milliseconds(query, "max_age_ms", 0, MAX_AGE_MS)
        except ValueError as error:
            ANSWERS.labels("refused").inc()
            return await problem(422, str(error))(scope, receive, send)
        try:
            picture, jpeg = await self._snapshots.take(
                max_age=max_age, timeout=DEFAULT_TIMEOUT_MS / 1000 if timeout is None else timeout
            )
        except NoFrameInTime as error:
            ANSWERS.labels(error.reason).inc()
            detail = f"{error.detail}. {REMEDY.get(error.reason, '')}".strip()  # type: ignore[call-overload]
            answer = problem(503, detail, reason=error.reason, headers={"Retry-After": "1"})
            return await answer(scope, receive, send)
        _PICTURES.inc()
        WAIT.observe(time.monotonic() - began)
        await send({"type": "http.response.start", "status": 200, "headers": _headers(picture, len(jpeg))})
        await send({"type": "http.response.body", "body": jpeg})
        return None


def _headers(picture: Picture, length: int) -> list[tuple[bytes, bytes]]:
    """What SnapshotInfo reads. Written out: a model and a dictionary cost a tenth of the whole answer."""
    frame, exposed = picture.frame, picture.exposed
    wall = exposed.wall.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    flags = [(_UNIFORM, b"1")] if frame.uniform else []
    return [
        *flags,
        (b"content-type", b"image/jpeg"),
        (b"content-length", b"%d" % length),
        (b"cache-control", b"no-store"),
        (_CAPTURED_AT, wall.encode()),
        (_BOOTTIME, b"%.6f" % exposed.boottime),
        (_SEQUENCE, b"%d" % frame.sequence),
        (_WIDTH, b"%d" % frame.width),
        (_HEIGHT, b"%d" % frame.height),
    ]


def _milliseconds(query: Mapping[str, str], name: str, low: int, high: int) -> float | None:
    """The value in seconds; None where it is absent. ValueError names the range."""
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) <= high):
        raise ValueError(f"{name}={text[:40]!r}: it must be a whole number from {low} to {high}")
    return int(text) / 1000
