"""Network streams and video files: OpenCV in a child process that is killed when it hangs."""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

from visant_camera.drivers.base import (
    BadFrame,
    CameraAbsent,
    CameraError,
    CameraGone,
    CameraStalled,
    Control,
    ControlRefused,
    Opened,
)
from visant_camera.drivers.opencv.process import messages
from visant_camera.drivers.opencv.process.messages import Order, Playing
from visant_camera.frame import Frame
from visant_runtime.redact import read

OPEN_TIMEOUT = 12.0
"""Seconds until a stream's server has said what it sends. Between two key frames FFmpeg looks for 5 s."""
FIRST_FRAME = 45.0
"""Seconds that a stream's first picture may take once the server answers: some send a key frame every 40 s."""
_START = 10.0  # seconds more for the child to start and import OpenCV on a slow card
_REACH = 3.0  # seconds until a TCP connection must stand
_PORTS = {"rtsp": 554, "rtsps": 322}
STREAM_LATE = 0.5
"""Seconds that a network frame may be older than its stamp tells (encoder, network, decoder at their best):
CAMERA_FRESHNESS_MARGIN."""
_HANDED_ON = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH"})
"""All that the child sees of this process's environment: it parses video of anybody's, and there may be a token."""
_SMALL = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072"}
"""Keeps the child small: no threads for a linear algebra it never does, and pictures that are let go of go back to the
kernel. glibc would otherwise keep room for the largest ones: 12 MB at 1920x1080."""
_LIVE_OPTIONS = "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay"  # FFmpeg's, as OpenCV passes them on


class OpenCvDriver:
    """`source`: rtsp://... or a video file; `shown` is the same without credentials."""

    def __init__(self, source: str, *, shown: str, quality: int, open_timeout: float = OPEN_TIMEOUT) -> None:
        self._source, self._shown = source, shown
        self._address = read(source) if "://" in source else None
        self._live = self._address is not None
        self._quality = quality
        self._open_timeout = open_timeout
        self._child: subprocess.Popen[bytes] | None = None
        self._wanting = False
        self._received = bytearray()

    def open(self) -> Opened:
        """Starts the child and waits until it plays. Raises CameraAbsent."""
        self._look()
        self._wanting = False
        # Standard error is dropped: FFmpeg would print the address with its credentials.
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "visant_camera.drivers.opencv.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={
                **{key: value for key, value in os.environ.items() if key in _HANDED_ON},
                "OPENCV_FFMPEG_CAPTURE_OPTIONS": _LIVE_OPTIONS if self._live else "",
                "OPENCV_FFMPEG_THREADS": "1",  # threads that share out whole frames delay each of them
                **_SMALL,
            },
        )
        self._received.clear()
        source = self._source if self._address is None else self._address.url
        order = Order(source, self._live, self._quality, self._open_timeout, FIRST_FRAME)
        try:
            self._tell(order.line())
            kind, body = self._receive(_START + self._open_timeout)
            if kind != messages.OPENED:
                raise CameraAbsent(self._in_words(body))
        except CameraError as error:
            self.close()
            raise CameraAbsent(error.detail) from None
        playing = Playing(**json.loads(body))
        return Opened(
            source=self._shown,
            name="network stream" if self._live else Path(self._source).name,
            encoding="mjpeg",
            width=playing.width,
            height=playing.height,
            fps=playing.fps,
            timestamp_late=STREAM_LATE if self._live else 0.0,
            first_frame=FIRST_FRAME if self._live else Opened.first_frame,
        )

    def _look(self) -> None:
        """Raises CameraAbsent where a child would only find nothing: starting one costs half a second of CPU."""
        if self._address is None:
            if not Path(self._source).is_file():
                raise CameraAbsent(f"{self._shown}: no such file")
            return
        try:
            port = self._address.port or _PORTS[self._address.scheme]
            socket.create_connection((self._address.host, port), timeout=_REACH).close()
        except OSError as error:
            raise CameraAbsent(f"{self._shown}: {error.strerror or 'it does not answer'}") from None
        except ValueError:  # 192.168.1..50 is a UnicodeError
            raise CameraAbsent(f"{self._shown}: no host can have this name or address") from None

    def next_frame(self, timeout: float, *, want: bool) -> Frame | None:
        """Takes the child's next word. The timeout is counted here: the child may hang for ever."""
        if want != self._wanting:
            self._tell(messages.WANT if want else messages.DRAIN)
            self._wanting = want
        kind, body = self._receive(timeout)
        if kind == messages.DRAINED:
            return None
        if kind == messages.BAD:
            raise BadFrame(self._in_words(body))
        if kind != messages.FRAME:
            raise CameraGone(self._in_words(body))
        sequence, exposed, older, width, height = messages.FRAME_HEAD.unpack_from(body)
        return Frame(body[messages.FRAME_HEAD.size :], "mjpeg", width, height, sequence, exposed, exposed - older)

    def close(self) -> None:
        """Kills the child and takes its status."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def controls(self) -> list[Control]:
        """None."""
        return []

    def set_control(self, name: str, value: int) -> None:
        """There is nothing to set."""
        raise ControlRefused(f"{self._shown} has no {name}")

    def _in_words(self, body: bytes) -> str:
        return f"{self._shown}: {body.decode(errors='replace')}"

    def _tell(self, data: bytes) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(data)
        except OSError:
            raise CameraGone(f"{self._shown}: the capture process ended") from None

    def _receive(self, timeout: float) -> tuple[bytes, bytes]:
        """(kind, body) of the child's next message. What came before a timeout is kept for the next call."""
        end = time.monotonic() + timeout
        head = messages.HEAD.size
        self._fill(head, end)
        kind, length = messages.HEAD.unpack_from(self._received)
        self._fill(head + length, end)
        body = bytes(memoryview(self._received)[head:])
        self._received.clear()
        return kind, body

    def _fill(self, length: int, end: float) -> None:
        """Reads until `length` bytes of the message are there."""
        assert self._child is not None
        assert self._child.stdout is not None
        descriptor = self._child.stdout.fileno()
        while len(self._received) < length:
            if not select.select([descriptor], [], [], max(0.0, end - time.monotonic()))[0]:
                raise CameraStalled(f"{self._shown}: nothing comes")
            part = os.read(descriptor, min(length - len(self._received), 1 << 20))
            if not part:
                raise CameraGone(f"{self._shown}: the capture process ended")
            self._received += part
