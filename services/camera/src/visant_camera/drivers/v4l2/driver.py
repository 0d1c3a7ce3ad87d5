"""USB webcams: Video4Linux2 frames as the camera made them.

A frame nobody wants goes back to the kernel without being copied; a wanted one is copied once, as it is: the camera's
JPEG is the JPEG that is served. Every wait ends, and the first failure is final for this opening.
"""

import contextlib
import errno
import mmap
import select
import time
from collections.abc import Mapping, Sequence
from ctypes import c_int32
from functools import partial

from visant_camera.drivers.base import (
    BadFrame,
    CameraAbsent,
    CameraGone,
    CameraStalled,
    Control,
    ControlRefused,
    Opened,
)
from visant_camera.drivers.v4l2 import abi
from visant_camera.drivers.v4l2.find_device import Finder, NoCamera
from visant_camera.drivers.v4l2.node import Node
from visant_camera.frame import Encoding, Frame
from visant_camera.jpeg import CONVERTED, is_whole, to_bgr

Size = tuple[int, int]
"""Width and height in pixels."""

BUFFERS = 4
"""Frames the kernel may fill ahead: at 30 fps the reading thread may pause 0.13 s before one is lost."""
ENCODINGS: dict[str, Encoding] = {"MJPG": "mjpeg", "JPEG": "mjpeg", "YUYV": "yuyv", **dict.fromkeys(CONVERTED, "bgr")}
"""The camera's formats in the order of preference: first what is served as it is."""
_REFUSED_OPEN = {
    errno.EACCES: "no right to open it: put the user into the group that owns it (video)",
    errno.EPERM: "no right to open it: the container lacks the device rule c 81:* rmw",
    errno.ENOENT: "the kernel knows it, but the file is not there: a container needs /dev bound read-only",
    errno.EBUSY: "another process streams from it",
    errno.ENOSPC: "the USB bus has no bandwidth left for it: use another port or a smaller CAMERA_RESOLUTION",
}


class V4l2Driver:
    """One webcam. `source`: `0`, `/dev/video0`, or a link below /dev/v4l/. `size` and `fps` (per second) are wishes."""

    def __init__(
        self, source: str, *, size: Size = (1920, 1080), fps: float = 30.0, finder: Finder | None = None
    ) -> None:
        self._finder = finder or Finder(source)
        self._wanted_size = size
        self._wanted_fps = fps
        self._node: Node | None = None
        self._maps: list[mmap.mmap] = []
        self._readable = select.poll()
        self._buffer = abi.Buffer(type=abi.BUF_TYPE_VIDEO_CAPTURE, memory=abi.MEMORY_MMAP)
        self._format = ""
        self._size: Size = (0, 0)

    def open(self) -> Opened:
        """Finds the camera, agrees on a format, starts the stream. Raises CameraAbsent with nothing left open."""
        try:
            device = self._finder.find()
        except NoCamera as error:
            raise CameraAbsent(str(error)) from error
        try:
            self._node = Node(device.node)
            fps = self._negotiate(self._node)
            self._start(self._node)
        except OSError as error:
            self.close()
            why = _REFUSED_OPEN.get(error.errno or 0) or error.strerror or str(error)
            raise CameraAbsent(f"{device.name} ({device.node}): {why}") from error
        except CameraAbsent as error:
            self.close()
            raise CameraAbsent(f"{device.name} ({device.node}): {error.detail}") from error
        return Opened(
            source=device.node,
            name=device.name,
            encoding=ENCODINGS[self._format],
            width=self._size[0],
            height=self._size[1],
            fps=fps,
            refusals=self._refusals(fps),
            # uvcvideo stamps a frame when its first bytes arrive; they leave the camera before the next exposure ends.
            timestamp_late=1 / (fps or self._wanted_fps),
        )

    def next_frame(self, timeout: float, *, want: bool) -> Frame | None:
        """The oldest frame the kernel holds, or the next, within `timeout` seconds. See the protocol."""
        node = self._node
        if node is None:
            raise CameraGone("the camera is not open")
        self._wait(timeout)
        try:
            buffer = node.call(abi.DQBUF, self._buffer)
            faulty = bool(buffer.flags & abi.BUF_FLAG_ERROR) or buffer.bytesused == 0
            data = self._maps[buffer.index][: buffer.bytesused] if want and not faulty else b""
            sequence, exposed_at = buffer.sequence, _exposed_at(buffer) if want else 0.0
            node.call(abi.QBUF, buffer)
        except BlockingIOError as error:
            raise CameraStalled("the kernel announced a frame and had none") from error
        except OSError as error:
            raise CameraGone(f"{node.path} is gone: {error.strerror}") from error
        if faulty:
            raise BadFrame(f"frame {sequence}: marked as faulty by the kernel")
        if not want:
            return None
        return self._frame(data, sequence, exposed_at)

    def close(self) -> None:
        """Stops the stream and closes the descriptor, whatever state the camera is in. Raises nothing.

        A kernel keeps a pulled camera's number as long as a descriptor is held; it would return under another.
        """
        node, self._node = self._node, None
        if node is None:
            return
        self._finder.lost()
        with contextlib.suppress(OSError):
            node.call(abi.STREAMOFF, c_int32(abi.BUF_TYPE_VIDEO_CAPTURE))
        for one in self._maps:
            one.close()
        self._maps = []
        node.close()

    def controls(self) -> Sequence[Control]:
        """What can be adjusted, with current values. Raises CameraGone."""
        if self._node is None:
            raise CameraGone("the camera is not open")
        try:
            return self._node.controls()
        except OSError as error:
            raise CameraGone(f"{self._node.path} is gone: {error.strerror}") from error

    def set_control(self, name: str, value: int) -> None:
        """Sets one control. Raises ControlRefused, e.g. for the exposure time while exposure is automatic."""
        if self._node is None:
            raise CameraGone("the camera is not open")
        try:
            self._node.set_control(name, value)
        except KeyError as error:
            raise ControlRefused(f"{name}: the camera has no such control") from error
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise CameraGone(f"{self._node.path} is gone: {error.strerror}") from error
            raise ControlRefused(f"{name}={value}: {error.strerror}") from error

    def _negotiate(self, node: Node) -> float:
        """Asks for format, size and rate; keeps what the device says it took. Returns its frames per second."""
        name, size = choose_mode({one: node.sizes(one) for one in node.formats()}, self._wanted_size)
        asked = abi.Format(
            type=abi.BUF_TYPE_VIDEO_CAPTURE, width=size[0], height=size[1], pixelformat=abi.fourcc_code(name)
        )
        granted = node.call(abi.S_FMT, asked)
        self._format, self._size = abi.fourcc(granted.pixelformat), (granted.width, granted.height)
        if self._format not in ENCODINGS:
            raise CameraAbsent(f"asked for {name}, it gives {self._format}, which cannot be served")
        rate = abi.StreamParameters(
            type=abi.BUF_TYPE_VIDEO_CAPTURE, numerator=1000, denominator=round(1000 * self._wanted_fps)
        )
        try:
            node.call(abi.S_PARM, rate)
            rate = node.call(abi.G_PARM, abi.StreamParameters(type=abi.BUF_TYPE_VIDEO_CAPTURE))
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                return 0.0  # a device without a rate to choose
            raise
        return float(rate.denominator / rate.numerator) if rate.numerator else 0.0

    def _start(self, node: Node) -> None:
        pool = node.call(
            abi.REQBUFS,
            abi.RequestBuffers(count=BUFFERS, type=abi.BUF_TYPE_VIDEO_CAPTURE, memory=abi.MEMORY_MMAP),
        )
        for index in range(pool.count):
            buffer = abi.Buffer(index=index, type=abi.BUF_TYPE_VIDEO_CAPTURE, memory=abi.MEMORY_MMAP)
            node.call(abi.QUERYBUF, buffer)
            self._maps.append(
                mmap.mmap(node.descriptor, buffer.length, mmap.MAP_SHARED, mmap.PROT_READ, offset=buffer.offset)
            )
            node.call(abi.QBUF, buffer)
        node.call(abi.STREAMON, c_int32(abi.BUF_TYPE_VIDEO_CAPTURE))
        self._readable = select.poll()
        self._readable.register(node.descriptor, select.POLLIN)

    def _wait(self, timeout: float) -> None:
        if not self._readable.poll(max(0.0, timeout) * 1000):
            raise CameraStalled(f"no frame within {timeout:.1f} s")

    def _frame(self, data: bytes, sequence: int, exposed_at: float) -> Frame:
        width, height = self._size
        encoding = ENCODINGS[self._format]
        if encoding == "mjpeg" and not is_whole(data):
            raise BadFrame(f"frame {sequence}: the JPEG is truncated ({len(data)} bytes)")
        content = partial(to_bgr, self._format, data, width, height) if self._format in CONVERTED else data
        return Frame(content, encoding, width, height, sequence, exposed_at)

    def _refusals(self, fps: float) -> tuple[str, ...]:
        lines = []
        if ENCODINGS[self._format] != "mjpeg":
            lines.append(f"format MJPG: got {self._format}")
        if self._size != self._wanted_size:
            lines.append("size {}x{}: got {}x{}".format(*self._wanted_size, *self._size))
        if abs(fps - self._wanted_fps) > 0.5:
            lines.append(f"fps {self._wanted_fps:g}: got {fps:g}")
        return tuple(lines)


def choose_mode(offer: Mapping[str, Sequence[Size]], wanted: Size) -> tuple[str, Size]:
    """Format and size to ask for: the best format the camera has, and its size nearest to the wanted one.

    Nearest counts pixels missing and surplus along both sides; of two equally near the larger wins. A format that
    lists no sizes is asked for the wanted one. Raises CameraAbsent when nothing offered can be served.
    """
    for name in ENCODINGS:
        if name in offer:
            nearest = min(offer[name] or [wanted], key=lambda size: (_distance(size, wanted), -size[0] * size[1]))
            return name, nearest
    raise CameraAbsent(f"it offers no format that can be served, only {', '.join(sorted(offer)) or 'none at all'}")


def _distance(size: Size, wanted: Size) -> int:
    return abs(size[0] - wanted[0]) + abs(size[1] - wanted[1])


def _exposed_at(buffer: abi.Buffer) -> float:
    """The kernel's stamp where it counts CLOCK_MONOTONIC (uvcvideo does), never in the future; else now."""
    now = time.monotonic()
    if buffer.flags & abi.BUF_FLAG_TIMESTAMP_MASK != abi.BUF_FLAG_TIMESTAMP_MONOTONIC:
        return now
    return min(now, float(buffer.seconds + buffer.microseconds / 1e6))
