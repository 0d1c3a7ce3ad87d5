"""How the camera is doing, as the grabber sees it: what `/state`, the heartbeat and a 503 say."""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict

from visant_camera.drivers.base import CameraError, Opened
from visant_contract.outcome import REMEDY, Reason
from visant_runtime.heartbeat import Heartbeat

log = structlog.get_logger()
_RATE_WINDOW = 2.0  # seconds over which fps is counted


class CameraState(BaseModel):
    """`GET /state`. The first eight fields are what the device's telemetry takes over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: str
    """`ok` or a reason of the snapshot interface."""
    detail: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    """Measured."""
    bad_frames: int = 0
    """Received and never served, since the start."""
    state_age: float = 0.0
    """Seconds that it has been in this state."""
    settings: dict[str, str] = {}
    """What the cloud wants: setting to `applied`, `waiting`, `unknown` or `refused: why`."""
    remedy: str | None = None
    source: str
    """Without credentials."""
    name: str | None = None
    encoding: str | None = None
    nominal_fps: float | None = None
    refusals: tuple[str, ...] = ()
    """Wishes that the camera did not grant."""
    freshness_margin: float | None = None
    """Seconds that a stamp may be late: see CAMERA_FRESHNESS_MARGIN."""
    idle: bool = False
    """Frames are drained without being copied: nobody asks."""
    frames: int = 0
    """Received since the start."""
    opens: int = 0
    last_error: str | None = None
    last_error_at: AwareDatetime | None = None


@dataclass(frozen=True)
class Failure:
    """The last thing that went wrong; `at` on CLOCK_MONOTONIC."""

    reason: Reason
    detail: str
    at: float
    wall: datetime


class Health:
    """Safe to use from threads. The grabber tells, others read."""

    def __init__(self, source: str, heartbeat: Heartbeat | None = None) -> None:
        self._source = source
        self._heartbeat = heartbeat
        self._lock = threading.Lock()
        self._reason: Reason | None = Reason.CAMERA_STARTING
        self._detail = "opening"
        self._since = time.monotonic()
        self._failure: Failure | None = None
        self._opened: Opened | None = None
        self._frames = self._bad = self._opens = 0
        self._idle = True
        self._margin: float | None = None
        self._rate = _Rate()
        if heartbeat is not None:
            heartbeat.degraded("camera", f"{self._reason}: {self._detail}")

    def opened(self, what: Opened, margin: float) -> None:
        """The device is open; frames have yet to come."""
        with self._lock:
            self._opened, self._margin, self._opens = what, margin, self._opens + 1
            self._rate = _Rate()
        # a camera that stalls or sends rubbish opens just as well: only frames prove that it is over
        if self._reason in (Reason.CAMERA_ABSENT, Reason.CAMERA_STARTING):
            self._become(Reason.CAMERA_STARTING, "open, waiting for the first frame")

    def closed(self) -> None:
        """Nothing is open."""
        with self._lock:
            self._opened = None
            self._rate = _Rate()

    def failed(self, error: CameraError) -> None:
        """The camera does not work."""
        self._note(error)
        self._become(error.reason, error.detail)

    def bad_frame(self, error: CameraError) -> None:
        """One frame was not fit to serve."""
        self._note(error)
        with self._lock:
            self._bad += 1

    def warming(self, left: int) -> None:
        """A good frame came and was discarded as warm-up."""
        self._count(idle=True)
        self._become(Reason.CAMERA_STARTING, f"warming up, {left} more frames")

    def frame(self, *, idle: bool) -> None:
        """A good frame came."""
        self._count(idle=idle)
        if self._reason is not None:
            self._become(None, "")

    def why_no_frame(self, since: float, default: str) -> tuple[Reason, str]:
        """(reason, detail) for a request that began at `since` (CLOCK_MONOTONIC) and got none."""
        with self._lock:
            if self._reason is not None:
                return self._reason, self._detail
            if self._failure is not None and self._failure.at >= since:
                return self._failure.reason, self._failure.detail
            return Reason.CAMERA_STALLED, default

    @property
    def margin(self) -> float:
        """Seconds after the request from which `Frame.begun_after` counts, as of the last open."""
        return self._margin or 0.0

    def state(self) -> CameraState:
        """All of it, at one moment."""
        with self._lock:
            opened, failure = self._opened, self._failure
            return CameraState(
                state=self._reason or "ok",
                detail=self._detail or None,
                remedy=REMEDY[self._reason] if self._reason else None,
                width=opened.width if opened else None,
                height=opened.height if opened else None,
                fps=self._rate.value() if opened else None,
                bad_frames=self._bad,
                state_age=round(time.monotonic() - self._since, 1),
                source=opened.source if opened else self._source,
                name=opened.name if opened else None,
                encoding=opened.encoding if opened else None,
                nominal_fps=(opened.fps or None) if opened else None,
                refusals=opened.refusals if opened else (),
                freshness_margin=self._margin,
                idle=self._idle,
                frames=self._frames,
                opens=self._opens,
                last_error=f"{failure.reason}: {failure.detail}" if failure else None,
                last_error_at=failure.wall if failure else None,
            )

    def _count(self, *, idle: bool) -> None:
        with self._lock:
            self._frames += 1
            self._idle = idle
            self._rate.tick()

    def _note(self, error: CameraError) -> None:
        with self._lock:
            self._failure = Failure(error.reason, error.detail, time.monotonic(), datetime.now(UTC))

    def _become(self, reason: Reason | None, detail: str) -> None:
        with self._lock:
            before, self._reason, self._detail = self._reason, reason, detail
            if reason != before:
                self._since = time.monotonic()
        if self._heartbeat is not None:
            self._heartbeat.degraded("camera", f"{reason}: {detail}" if reason else None)
        if reason == before:
            return
        if reason is None:
            log.info("camera ready")
        elif reason is not Reason.CAMERA_STARTING:
            log.warning("no pictures", reason=reason.value, detail=detail, remedy=REMEDY[reason])


class _Rate:
    """Frames a second over the last seconds."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._count = 0
        self._last: float | None = None

    def tick(self) -> None:
        self._count += 1
        passed = time.monotonic() - self._begin
        if passed >= _RATE_WINDOW:
            self._last = self._count / passed
            self._begin, self._count = time.monotonic(), 0

    def value(self) -> float | None:
        return round(self._last, 1) if self._last is not None else None
