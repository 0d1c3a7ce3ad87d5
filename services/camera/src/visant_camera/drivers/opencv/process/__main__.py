"""The child: plays a stream or a video file with OpenCV and writes its frames to standard output."""

import ctypes
import json
import os
import select
import signal
import sys
import time
from typing import Any

from visant_camera.drivers.opencv.process.messages import (
    BAD,
    DRAINED,
    FAILED,
    FRAME,
    FRAME_HEAD,
    HEAD,
    OPENED,
    WANT,
    Order,
    Playing,
)
from visant_camera.drivers.opencv.process.refusal import Refusal
from visant_camera.drivers.opencv.process.stream_clock import ARRIVAL_LATE, StreamClock, Trust

_OLDER = {Trust.STAMP: 0.0, Trust.ARRIVAL: ARRIVAL_LATE, Trust.UNKNOWN: None}
_PR_SET_PDEATHSIG = 1


class _Failed(Exception):
    """The end, in words."""


def main() -> int:
    """Ends when its parent does."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    order = Order(**json.loads(sys.stdin.buffer.readline()))
    refusal = Refusal()
    import cv2

    cv2.setNumThreads(1)
    try:
        _play(cv2, order, refusal)
    except _Failed as error:
        _send(FAILED, str(error).encode())
    except cv2.error:
        _send(FAILED, b"OpenCV failed")
    return 1


def _play(cv2: Any, order: Order, refusal: Refusal) -> None:
    parameters = []
    if order.live:
        parameters = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(order.open_timeout * 1000)]
        parameters += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(order.read_timeout * 1000)]
    capture = cv2.VideoCapture(order.source, cv2.CAP_FFMPEG, parameters)
    if not capture.isOpened():
        why = "it does not answer or shows no video" if order.live else "it is no video that can be read"
        raise _Failed(refusal.in_words() or why)
    pace: _Live | _File = _Live(capture, cv2) if order.live else _File(capture, cv2)
    width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    _send(OPENED, Playing(width, height, capture.get(cv2.CAP_PROP_FPS)).body())
    pace.settle()
    wanted = False
    image = None  # one buffer for all pictures
    sequence = 0
    while True:
        exposed, older = pace.next()
        sequence += 1
        wanted = _wish(wanted)
        if not wanted or older is None:
            _send(DRAINED, b"")
            continue
        done, image = capture.retrieve(image)
        if done:
            done, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, order.quality])
        if not done:
            _send(BAD, f"frame {sequence} cannot be decoded".encode())
            continue
        _send(FRAME, FRAME_HEAD.pack(sequence, exposed, older, image.shape[1], image.shape[0]) + coded.tobytes())


class _Live:
    """A network stream: frames come when they come."""

    def __init__(self, capture: Any, cv2: Any) -> None:
        self._capture, self._cv2 = capture, cv2
        self._clock = StreamClock()

    def settle(self) -> None:
        """Skips the stream's begin: servers send a backlog since the last key frame, whose age nobody knows."""
        while self._clock.trust is Trust.UNKNOWN:
            self.next()

    def next(self) -> tuple[float, float | None]:
        """Waits for a frame; (when it was exposed, by how much that may be wrong; None: by whatever it may be)."""
        if not self._capture.grab():
            raise _Failed("the stream ended or sent nothing")
        arrival = time.monotonic()
        exposed = self._clock.exposed(self._capture.get(self._cv2.CAP_PROP_POS_MSEC) / 1000, arrival)
        return exposed, _OLDER[self._clock.trust]


class _File:
    """A video file at its own pace, from the start again after its end."""

    def __init__(self, capture: Any, cv2: Any) -> None:
        self._capture, self._cv2 = capture, cv2
        fps = capture.get(cv2.CAP_PROP_FPS)
        self._interval = 1 / fps if 0.1 <= fps <= 240 else 1 / 30
        self._due = time.monotonic()

    def settle(self) -> None:
        """A file's first frame is as good as any."""

    def next(self) -> tuple[float, float]:
        """Waits until the next frame is due; it counts as exposed then."""
        self._due = max(self._due + self._interval, time.monotonic() - self._interval)
        time.sleep(max(0.0, self._due - time.monotonic()))
        if not self._capture.grab():
            self._capture.set(self._cv2.CAP_PROP_POS_FRAMES, 0)
            if not self._capture.grab():
                raise _Failed("it cannot be read from its start again")
        return time.monotonic(), 0.0


def _wish(before: bool) -> bool:
    """The parent's newest wish, without waiting. Ends this process where the parent has gone."""
    while select.select([0], [], [], 0)[0]:
        found = os.read(0, 64)
        if not found:
            raise SystemExit(0)
        before = found[-1:] == WANT
    return before


def _send(kind: bytes, body: bytes) -> None:
    try:
        data = HEAD.pack(kind, len(body)) + body
        while data:
            data = data[os.write(1, data) :]
    except BrokenPipeError:
        raise SystemExit(0) from None


if __name__ == "__main__":
    sys.exit(main())
