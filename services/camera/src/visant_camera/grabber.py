"""The thread that owns the camera: opens it, drains it, hands frames over, closes and reopens it when it fails."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import structlog

from visant_camera.device_calls import DeviceCalls
from visant_camera.drivers.base import (
    BadFrame,
    CameraError,
    CameraStalled,
    Driver,
    Opened,
    RepeatedFrame,
)
from visant_camera.health import Health
from visant_camera.latest_frame import LatestFrame
from visant_contract.outcome import Reason
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop

log = structlog.get_logger()
T = TypeVar("T")

REOPEN_FIRST, REOPEN_MAX = 0.25, 2.0
"""Seconds between attempts to open: doubling, capped so that a camera that returns serves within 5 s."""
BAD_FRAMES_LIMIT = 5.0
"""Seconds of nothing but bad frames after which the device is opened anew."""
REPEATS_LIMIT = 3
"""The same picture so many times, and for as long as a camera may be silent, is a camera that stands still. A sensor's
noise never repeats, so one repeat would do: the rest is for cameras that fill their rate with copies."""
PATIENT_STARTS = 4
"""A camera that gives no first frame is opened anew sooner, for that helps many; every fourth start is patient again,
for one that is only slow."""
CONTROLS_PATIENCE = 3.0
"""Seconds that a camera's saved controls may take when it is opened; then pictures come first."""
_SLICE = 0.5  # seconds of a longer wait after which it is seen whether to stop
LOOP = "grabber"
BEAT_EVERY = 0.5
"""Seconds; a beat for each of thirty frames a second would be a tenth of what draining costs."""
MAX_SILENCE = 30.0
"""Seconds that one round may take: an open and a stall together are far below."""
_CHECK_EVERY = 1.0  # seconds


def reopen_delay(attempt: int) -> float:
    """Seconds before the next open; `attempt` counts failures since the last good frame, from 0."""
    return min(REOPEN_MAX, REOPEN_FIRST * 2.0 ** min(attempt, 16))


class Grabber:
    """`start`, then `stop`. `on_open` runs after each open, before the first frame unless it takes too long.

    It and every `call` run beside, in the thread of DeviceCalls.
    """

    def __init__(
        self,
        driver: Driver,
        latest: LatestFrame,
        health: Health,
        *,
        warmup: int,
        stall_after: float,
        margin: float | None,
        heartbeat: Heartbeat | None = None,
        on_open: Callable[[Driver, Opened], None] | None = None,
    ) -> None:
        self._driver = driver
        self._latest = latest
        self._health = health
        self._warmup = warmup
        self._stall_after = stall_after
        self._margin = margin
        self._heartbeat = heartbeat
        self._on_open = on_open
        self._stop = threading.Event()
        self._calls = DeviceCalls(driver)
        self.camera_name = ""
        """What the camera that is or was open calls itself."""
        self._failures = self._failed_starts = 0
        self._away = True
        self._round_at = time.monotonic()
        self._beat_at = float("-inf")
        self._error: BaseException | None = None
        # daemon: a read that the kernel never lets go of must not keep the process alive
        self._thread = threading.Thread(target=self._run, name=LOOP, daemon=True)

    def start(self) -> None:
        """Begins to look for the camera."""
        if self._heartbeat is not None:
            self._heartbeat.expect(LOOP, MAX_SILENCE)
        self._thread.start()
        self._calls.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Ends the thread and closes the camera; waits for it at most `timeout` seconds."""
        self._stop.set()
        self._calls.stop()
        self._thread.join(timeout)

    def check(self) -> None:
        """Raises where the thread died or hangs: the process has to end, so that it is restarted."""
        if self._error is not None:
            raise RuntimeError("the grabber's thread ended") from self._error
        silent = time.monotonic() - self._round_at
        if silent > MAX_SILENCE:
            raise RuntimeError(f"the camera's driver has not returned for {silent:.0f} s")

    def call(self, function: Callable[[Driver], T]) -> Future[T]:
        """Runs `function` beside the frames; its future fails with CameraAbsent while nothing is open."""
        return self._calls.ask(function)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._session()
                self._beat()
                self._stop.wait(reopen_delay(self._failures - 1))
        except BaseException as error:
            self._error = error
            log.critical("the grabber's thread ended", exc_info=error)

    def _session(self) -> None:
        """From an open to the failure that ends it."""
        try:
            opened = self._driver.open()
            self._calls.is_open = True
            self._announce(opened)
            self._stream(opened)
        except CameraError as error:
            self._failures += 1
            self._away = error.reason is Reason.CAMERA_ABSENT
            self._health.failed(error)
        finally:
            self._calls.is_open = False
            self._driver.close()
            self._health.closed()

    def _announce(self, opened: Opened) -> None:
        self.camera_name = opened.name
        margin = opened.timestamp_late if self._margin is None else self._margin
        self._health.opened(opened, margin)
        if self._away:  # one that stalls is opened again every few seconds, perhaps for days
            self._log(opened)
        if self._on_open is not None:
            self._restore(self._on_open, opened)

    def _restore(self, on_open: Callable[[Driver, Opened], None], opened: Opened) -> None:
        try:
            self.call(lambda driver: on_open(driver, opened)).result(CONTROLS_PATIENCE)
        except TimeoutError:
            log.warning("the camera's controls do not answer: pictures come without the saved values for now")
        except CameraError as error:
            log.warning("the camera's controls do not answer", error=error.detail)

    def _log(self, opened: Opened) -> None:
        log.info(
            "camera open",
            source=opened.source,
            name=opened.name,
            encoding=opened.encoding,
            size=f"{opened.width}x{opened.height}",
            fps=opened.fps,
        )
        for line in opened.refusals:
            log.warning("the camera refused a wish", refused=line)

    def _stream(self, opened: Opened) -> None:
        patient = self._failed_starts % PATIENT_STARTS == 0
        patience = max(self._stall_after, opened.first_frame if patient else opened.first_frame / 4)
        self._failed_starts += 1  # until a frame comes
        left = self._warmup
        repeats = 0
        began = heard_at = good_at = advanced_at = time.monotonic()
        newest = float("-inf")
        while not self._stop.is_set():
            want = left == 0 and self._latest.wanted()
            try:
                frame = self._driver.next_frame(min(_SLICE, patience), want=want)
            except CameraStalled as error:
                silent = time.monotonic() - heard_at
                if silent >= patience:
                    raise CameraStalled(f"{error.detail}, for {silent:.1f} s") from None
                continue
            except BadFrame as error:
                if good_at == began:  # a slow start is no part of the bad frames' time
                    good_at = time.monotonic()
                heard_at = time.monotonic()
                self._bad(error, heard_at - good_at)
                continue
            except RepeatedFrame as error:
                heard_at = good_at = time.monotonic()
                repeats += 1
                self._repeated(error.detail, repeats, good_at - advanced_at)
                continue
            finally:
                self._beat()
            heard_at = good_at = time.monotonic()
            patience, self._failed_starts = self._stall_after, 0
            if frame is not None and frame.exposed_at <= newest:
                repeats += 1
                self._repeated(f"frame {frame.sequence} comes again and again", repeats, good_at - advanced_at)
                continue
            repeats = 0
            advanced_at = good_at
            if left:
                left -= 1
                self._health.warming(left)
                continue
            self._failures = 0
            self._health.frame(idle=not want)
            if frame is not None:
                newest = frame.exposed_at
                self._latest.offer(frame)

    def _bad(self, error: BadFrame, since_good: float) -> None:
        self._health.bad_frame(error)
        if since_good > self._stall_after:
            self._health.failed(error)
        if since_good > BAD_FRAMES_LIMIT:
            raise error

    def _repeated(self, what: str, repeats: int, since_advance: float) -> None:
        """A camera that hands out the same picture or moment again and again is frozen, however lively it looks."""
        if repeats >= REPEATS_LIMIT and since_advance > self._stall_after:
            raise CameraStalled(what)

    def _beat(self) -> None:
        self._round_at = now = time.monotonic()
        if self._heartbeat is not None and now - self._beat_at >= BEAT_EVERY:
            self._beat_at = now
            self._heartbeat.beat(LOOP)


async def watch(grabber: Grabber, heartbeat: Heartbeat, stop: Stop) -> None:
    """The watchdog of the grabber's thread, and the event loop's own beat. Raises what `Grabber.check` raises."""
    while not await stop.sleep(_CHECK_EVERY):
        grabber.check()
        heartbeat.beat("web")
