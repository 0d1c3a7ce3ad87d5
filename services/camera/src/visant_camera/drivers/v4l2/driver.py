"""USB webcams: Video4Linux2 frames as the camera made them.

A frame nobody wants goes back to the kernel without being copied; a wanted one is copied once, as it is: the camera's
JPEG is the JPEG that is served. Every wait ends, and the first failure is final for this opening.
"""

import contextlib
import errno
import mmap
import select
import time
from collections.abc import Iterator, Mapping, Sequence
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
    RepeatedFrame,
)
from visant_camera.drivers.v4l2 import abi
from visant_camera.drivers.v4l2.find_device import Finder, NoCamera
from visant_camera.drivers.v4l2.node import Node, SizeRange
from visant_camera.drivers.v4l2.repeats import Repeats
from visant_camera.frame import Encoding, Frame
from visant_camera.jpeg import CONVERTED, one_colour, to_bgr
from visant_contract.jpeg import read

Size = tuple[int, int]
"""Width and height in pixels."""

STAMP_LATE = 0.016
"""Seconds from the end of an exposure until the kernel stamps its first bytes: measured 0.6 to 16 ms with uvcvideo."""
BUFFERS = 4
"""Frames the kernel may fill ahead: at 30 fps the reading thread may pause 0.13 s before one is lost."""
ENCODINGS: dict[str, Encoding] = {"MJPG": "mjpeg", "JPEG": "mjpeg", "YUYV": "yuyv", **dict.fromkeys(CONVERTED, "bgr")}
"""The camera's formats in the order of preference: first what is served as it is."""
_REFUSED_OPEN = {
    errno.EACCES: "no right to open it: put the user into the group that owns it (video)",
    errno.EPERM: "no right to open it: the container lacks the device rule c 81:* rmw",
    errno.ENOENT: "the kernel knows it, but the file is not there: a container needs /dev bound read-only",
    errno.EBUSY: "another process streams from it",
    errno.ENODEV: "it was unplugged just now",
    errno.ENXIO: "it was unplugged just now",
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
        self._repeats = Repeats()
        self._stamp = self._stamp_before = float("-inf")

    def open(self) -> Opened:
        """Finds the camera, agrees on a format, starts the stream.

        Raises CameraAbsent, or CameraStalled for one that is plugged in and does not answer; nothing is left open.
        """
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
            why = _REFUSED_OPEN.get(error.errno or 0)
            if why is None:
                why = f"it is plugged in and does not answer: {error.strerror or error}"
                raise CameraStalled(f"{device.name} ({device.node}): {why}") from error
            raise CameraAbsent(f"{device.name} ({device.node}): {why}") from error
        except CameraAbsent as error:
            self.close()
            raise CameraAbsent(f"{device.name} ({device.node}): {error.detail}") from error
        self._stamp = self._stamp_before = float("-inf")
        self._repeats.opened()
        return Opened(
            source=device.node,
            name=device.name,
            encoding=ENCODINGS[self._format],
            width=self._size[0],
            height=self._size[1],
            fps=fps,
            refusals=self._refusals(fps),
            timestamp_late=STAMP_LATE,
        )

    def next_frame(self, timeout: float, *, want: bool) -> Frame | None:
        """The oldest frame the kernel holds, or the next, within `timeout` seconds. See the protocol."""
        node = self._node
        if node is None:
            raise CameraGone("the camera is not open")
        self._finder.watch()
        self._wait(timeout)
        try:
            buffer = node.call(abi.DQBUF, self._buffer)
            faulty = bool(buffer.flags & abi.BUF_FLAG_ERROR) or buffer.bytesused == 0
            held, length = self._maps[buffer.index], buffer.bytesused
            repeated = not faulty and self._repeats.same(held, length)
            look = repeated and self._repeats.reopened and self._repeats.uniform is None
            data = held[:length] if (want or look) and not faulty else b""
            sequence, stamp = buffer.sequence, _stamp(buffer)
            node.call(abi.QBUF, buffer)
        except BlockingIOError as error:
            raise CameraStalled("the kernel announced a frame and had none") from error
        except OSError as error:
            raise CameraGone(f"{node.path} is gone: {error.strerror}") from error
        if faulty:
            raise BadFrame(f"frame {sequence}: marked as faulty by the kernel")
        if repeated and not self._lawful(data):
            # Its stamp counts for nothing: some cameras fill their rate with copies while the sensor exposes longer.
            raise RepeatedFrame(f"frame {sequence}: the same picture comes again and again, byte for byte")
        self._stamp_before, self._stamp = self._stamp, stamp
        if not want:
            return None
        return self._frame(data, sequence, uniform=repeated)

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
        with self._aside() as node:
            return node.controls()

    def set_control(self, name: str, value: int) -> None:
        """Sets one control. Raises ControlRefused, e.g. for the exposure time while exposure is automatic."""
        with self._aside() as node:
            try:
                node.set_control(name, value)
            except KeyError as error:
                raise ControlRefused(f"{name}: the camera has no such control") from error
            except OSError as error:
                if error.errno == errno.ENODEV:
                    raise
                raise ControlRefused(f"{name}={value}: {error.strerror}") from error

    @contextlib.contextmanager
    def _aside(self) -> Iterator[Node]:
        """The node once more, for a thread that may hang with the camera's control endpoint. Raises CameraGone."""
        streaming = self._node
        if streaming is None:
            raise CameraGone("the camera is not open")
        try:
            with Node(streaming.path) as node:
                yield node
        except OSError as error:
            raise CameraGone(f"{streaming.path} does not answer: {error.strerror}") from error

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
            raise CameraStalled("no frame comes")

    def _lawful(self, data: bytes) -> bool:
        """Whether a picture that repeats may do so: it is of one colour, and a stream opened anew shows the same."""
        if not self._repeats.reopened:
            return False
        if self._repeats.uniform is None:
            try:
                self._repeats.uniform = one_colour(self._frame(data, 0, uniform=True))
            except (BadFrame, ValueError):
                self._repeats.uniform = False
        return self._repeats.uniform

    def _frame(self, data: bytes, sequence: int, *, uniform: bool) -> Frame:
        width, height = self._size
        encoding = ENCODINGS[self._format]
        content: bytes | partial[bytes] = data
        if encoding == "mjpeg":
            try:
                found = read(data)
            except ValueError as error:
                raise BadFrame(f"frame {sequence}: {len(data)} bytes that are no whole JPEG: {error}") from None
            # What follows its end, padding or a maker's trailer, is no part of the picture; its size is its own word.
            content, width, height = data[: found.end], found.width, found.height
        elif self._format in CONVERTED:
            content = partial(to_bgr, self._format, data, width, height)
        stamps = self._stamp, self._stamp_before
        return Frame(content, encoding, width, height, sequence, *stamps, uniform)

    def _refusals(self, fps: float) -> tuple[str, ...]:
        lines = []
        if ENCODINGS[self._format] != "mjpeg":
            lines.append(f"format MJPG: got {self._format}")
        if self._size != self._wanted_size:
            lines.append("size {}x{}: got {}x{}".format(*self._wanted_size, *self._size))
        if abs(fps - self._wanted_fps) > 0.5:
            lines.append(f"fps {self._wanted_fps:g}: got {fps:g}")
        return tuple(lines)


def choose_mode(offer: Mapping[str, Sequence[Size] | SizeRange], wanted: Size) -> tuple[str, Size]:
    """Format and size to ask for: the best format the camera has, and its size nearest to the wanted one.

    Nearest counts pixels missing and surplus along both sides; of two equally near the larger wins. A format that
    offers a range is asked for what is nearest in it, one that tells no sizes for the wanted one. Raises CameraAbsent
    when nothing offered can be served.
    """
    for name in ENCODINGS:
        if name in offer:
            sizes = offer[name]
            if isinstance(sizes, SizeRange):
                return name, sizes.nearest(wanted)
            nearest = min(sizes or [wanted], key=lambda size: (_distance(size, wanted), -size[0] * size[1]))
            return name, nearest
    raise CameraAbsent(f"it offers no format that can be served, only {', '.join(sorted(offer)) or 'none at all'}")


def _distance(size: Size, wanted: Size) -> int:
    return abs(size[0] - wanted[0]) + abs(size[1] - wanted[1])


def _stamp(buffer: abi.Buffer) -> float:
    """The kernel's stamp where it counts CLOCK_MONOTONIC (uvcvideo does), never in the future; else now."""
    now = time.monotonic()
    if buffer.flags & abi.BUF_FLAG_TIMESTAMP_MASK != abi.BUF_FLAG_TIMESTAMP_MONOTONIC:
        return now
    return min(now, float(buffer.seconds + buffer.microseconds / 1e6))
