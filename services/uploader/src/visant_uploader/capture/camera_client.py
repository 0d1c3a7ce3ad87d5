"""The camera service, typed: a picture or a reason, nothing between."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import ValidationError

from visant_contract.errors import Problem
from visant_contract.jpeg import read
from visant_contract.outcome import Reason
from visant_contract.snapshot import CAPTURED_BOOTTIME, HEIGHT, SEQUENCE, SNAPSHOT_REASONS, WIDTH, SnapshotInfo

TROUBLE = (httpx.HTTPError, httpx.StreamError, OSError)
MAX_PICTURE_BYTES = 64 << 20
ANSWER_SLACK = 1.0
"""Seconds that the camera may take beyond the wait it was given."""
STALE_SLACK = 0.05
"""Seconds by which an exposure may seem to precede its request: rounding, never a frame interval."""
AHEAD = 600.0
"""Seconds after its request at which no exposure can be: longer than any patience."""


class CameraTrouble(Exception):
    """No picture, and why: a reason of the closed list."""

    def __init__(self, reason: Reason, detail: str, first_asked_at: float | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.first_asked_at = first_asked_at
        """CLOCK_BOOTTIME of the first of several requests; None where this says nothing of them."""


class ConfigRefused(Exception):
    """Settings that are not taken; the text names key and range."""


@dataclass(frozen=True)
class Snapshot:
    """A whole JPEG, exposed after it was asked for."""

    jpeg: bytes
    info: SnapshotInfo
    asked_at: float
    """CLOCK_BOOTTIME, seconds."""
    first_asked_at: float | None = None
    """The same of the first of several requests."""


class CameraClient:
    """`camera_url`: http://host:port, or unix:///path of its socket. `transport` is for tests."""

    def __init__(self, camera_url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        limits = httpx.Limits(max_connections=16, keepalive_expiry=30)
        if camera_url.startswith("unix://"):
            transport = httpx.AsyncHTTPTransport(uds=camera_url.removeprefix("unix://"), limits=limits)
            camera_url = "http://camera"
        self._http = httpx.AsyncClient(
            base_url=camera_url,
            transport=transport,
            trust_env=False,  # a proxy of the uplink must not get between two containers
            limits=limits,
            timeout=httpx.Timeout(5.0, read=None),  # a frame may take longer; each request here has its own end
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def snapshot(self, wait: float, asked_at: float) -> Snapshot:
        """A picture exposed after `asked_at` (CLOCK_BOOTTIME). `wait`: seconds for a frame. Raises CameraTrouble."""
        query = {"timeout_ms": max(1, int(wait * 1000))}
        try:
            async with asyncio.timeout(wait + ANSWER_SLACK), self._http.stream("GET", "/snapshot", params=query) as got:
                body = bytearray()
                async for piece in got.aiter_bytes():
                    body += piece
                    if len(body) > MAX_PICTURE_BYTES:
                        raise CameraTrouble(Reason.BAD_FRAMES, f"a picture of over {MAX_PICTURE_BYTES} bytes")
        except TimeoutError:
            raise CameraTrouble(Reason.CAMERA_STALLED, "the camera service did not answer in time") from None
        except TROUBLE as error:
            raise CameraTrouble(Reason.CAMERA_UNREACHABLE, _plainly(error)) from None
        if got.status_code != 200:
            raise _trouble(got.status_code, bytes(body))
        return Snapshot(bytes(body), _checked(got.headers, body, asked_at), asked_at)

    async def want(self, settings: dict[str, Any]) -> dict[str, str]:
        """`PUT /controls`: kept by the camera service. What became of each. Raises ConfigRefused, CameraTrouble."""
        found = (await self._json("PUT", "/controls", settings)).get("settings")
        if not isinstance(found, dict):
            raise CameraTrouble(Reason.CAMERA_UNREACHABLE, "the camera service does not say what became of settings")
        return {str(name): str(what) for name, what in found.items()}

    async def state(self) -> dict[str, Any]:
        """`GET /state`. Raises CameraTrouble, and ConfigRefused for a 4xx."""
        return await self._json("GET", "/state")

    async def _json(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            async with asyncio.timeout(5.0):
                got = await self._http.request(method, path, json=body)
        except TimeoutError:
            raise CameraTrouble(Reason.CAMERA_STALLED, "the camera service did not answer in time") from None
        except TROUBLE as error:
            raise CameraTrouble(Reason.CAMERA_UNREACHABLE, _plainly(error)) from None
        if 400 <= got.status_code < 500:
            raise ConfigRefused(_problem(got.status_code, got.content).detail)
        if got.status_code != 200:
            raise _trouble(got.status_code, got.content)
        try:
            found = got.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise CameraTrouble(Reason.CAMERA_UNREACHABLE, f"{path} answered no JSON object")
        return found


def _checked(headers: httpx.Headers, body: bytearray, asked_at: float) -> SnapshotInfo:
    try:
        read(bytes(body))
    except ValueError as error:
        raise CameraTrouble(Reason.BAD_FRAMES, f"{len(body)} bytes that are no whole JPEG: {error}") from None
    try:
        info = SnapshotInfo(
            captured_boottime=float(headers[CAPTURED_BOOTTIME]),
            sequence=int(headers[SEQUENCE]),
            width=int(headers[WIDTH]),
            height=int(headers[HEIGHT]),
        )
    except (KeyError, ValueError) as error:
        raise CameraTrouble(Reason.BAD_FRAMES, f"a picture without its headers ({error})") from None
    if not info.captured_boottime < asked_at + AHEAD:  # nan as well
        raise CameraTrouble(Reason.BAD_FRAMES, f"exposed at {info.captured_boottime}, which is not now")
    if info.captured_boottime < asked_at - STALE_SLACK:
        raise CameraTrouble(Reason.BAD_FRAMES, f"exposed {asked_at - info.captured_boottime:.3f} s before the request")
    return info


def _problem(status: int, body: bytes) -> Problem:
    try:
        return Problem.model_validate_json(body)
    except ValidationError:
        return Problem(title="", status=status, detail=f"HTTP {status}: {body[:200].decode(errors='replace')}")


def _trouble(status: int, body: bytes) -> CameraTrouble:
    problem = _problem(status, body)
    reason = next((known for known in SNAPSHOT_REASONS if known == problem.reason), Reason.CAMERA_UNREACHABLE)
    return CameraTrouble(reason, problem.detail)


def _plainly(error: Exception) -> str:
    return str(error) or type(error).__name__
