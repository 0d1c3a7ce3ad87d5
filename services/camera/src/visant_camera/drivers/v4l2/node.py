"""One open /dev/videoN: what it is, what it offers, its controls. No streaming here (that is driver.py).

A node may be asked all this while another process, or another thread, streams from it.
"""

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from visant_camera.drivers.base import Control
from visant_camera.drivers.v4l2 import abi

_KINDS: dict[int, Literal["integer", "boolean", "menu"]] = {
    abi.CTRL_TYPE_INTEGER: "integer",
    abi.CTRL_TYPE_BOOLEAN: "boolean",
    abi.CTRL_TYPE_MENU: "menu",
    abi.CTRL_TYPE_INTEGER_MENU: "menu",
}


@dataclass(frozen=True)
class SizeRange:
    """Every size from the smallest to the largest, in steps, of a driver that lists none. Pixels."""

    width: range
    height: range

    def nearest(self, wanted: tuple[int, int]) -> tuple[int, int]:
        """The size of the range that is nearest to `wanted`, side by side."""
        return _nearest(self.width, wanted[0]), _nearest(self.height, wanted[1])


def _nearest(sizes: range, wanted: int) -> int:
    place = round((wanted - sizes.start) / sizes.step)
    return sizes[min(max(0, place), len(sizes) - 1)]


class Node:
    """`with Node("/dev/video0") as node: node.formats()`. Opening and every question raises OSError."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self) -> "Node":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the descriptor; a second time does nothing."""
        if self.descriptor >= 0:
            descriptor, self.descriptor = self.descriptor, -1
            os.close(descriptor)

    def call(self, request: int, structure: abi.Struct) -> abi.Struct:
        """One ioctl on this node; returns `structure` as the kernel filled it."""
        return abi.call(self.descriptor, request, structure)

    def capability(self) -> abi.Capability:
        """Driver, name and bus of the device."""
        return self.call(abi.QUERYCAP, abi.Capability())

    def takes_pictures(self) -> bool:
        """Whether this node hands out pictures (a camera's metadata node and a codec's node do not)."""
        found = self.capability()
        flags = found.device_caps if found.capabilities & abi.CAP_DEVICE_CAPS else found.capabilities
        return bool(flags & abi.CAP_VIDEO_CAPTURE) and bool(flags & abi.CAP_STREAMING)

    def formats(self) -> list[str]:
        """Pixel formats by their four letters, in the driver's order."""
        return [
            abi.fourcc(one.pixelformat)
            for one in self._list(abi.ENUM_FMT, lambda: abi.FormatDescription(type=abi.BUF_TYPE_VIDEO_CAPTURE))
        ]

    def sizes(self, fourcc: str) -> list[tuple[int, int]] | SizeRange:
        """(width, height) in pixels, or the range that the driver offers (V4L2's stepwise and continuous)."""
        code = abi.fourcc_code(fourcc)
        found: list[tuple[int, int]] = []
        for one in self._list(abi.ENUM_FRAMESIZES, lambda: abi.FrameSize(pixelformat=code)):
            if one.type == abi.FRAME_SIZE_DISCRETE:
                found.append((one.numbers[0], one.numbers[1]))
            else:
                across, down = one.numbers[:3], one.numbers[3:]
                return SizeRange(*(range(low, high + 1, max(1, step)) for low, high, step in (across, down)))
        return found

    def rates(self, fourcc: str, size: tuple[int, int]) -> list[float]:
        """Frames per second that the driver offers for this format and size, as it lists them.

        Of a range (the shortest interval, the longest, the step between them) the highest and the lowest rate.
        """
        code = abi.fourcc_code(fourcc)
        found: list[float] = []
        for one in self._list(
            abi.ENUM_FRAMEINTERVALS, lambda: abi.FrameInterval(pixelformat=code, width=size[0], height=size[1])
        ):
            listed = one.type == abi.FRAME_INTERVAL_DISCRETE
            pairs = [one.numbers[:2]] if listed else [one.numbers[:2], one.numbers[2:4]]
            found += [denominator / numerator for numerator, denominator in pairs if numerator]
            if not listed:
                break
        return found

    def controls(self) -> list[Control]:
        """Every control with a single value that can be read and set, in the driver's order.

        One that cannot be read is left out: some are for writing only (uvcvideo's relative pan), and some cameras
        answer a question about one control with an error and work well otherwise.
        """
        found = []
        for query in self._control_queries():
            try:
                found.append(self._control(query))
            except OSError as error:
                if error.errno == errno.ENODEV:
                    raise
        return found

    def set_control(self, name: str, value: int) -> None:
        """Raises KeyError for a name it has not, OSError for a value it cannot take now."""
        ids = {_plain(query.name): query.id for query in self._control_queries()}
        self.call(abi.S_CTRL, abi.ControlValue(id=ids[name], value=value))

    def _control_queries(self) -> Iterator[abi.ControlQuery]:
        last = 0
        while True:
            try:
                query = self.call(abi.QUERY_EXT_CTRL, abi.ControlQuery(id=last | abi.CTRL_FLAG_NEXT))
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOTTY):
                    return
                raise
            last = query.id
            if query.type in _KINDS and not query.flags & (abi.CTRL_FLAG_DISABLED | abi.CTRL_FLAG_READ_ONLY):
                yield query

    def _control(self, query: abi.ControlQuery) -> Control:
        return Control(
            name=_plain(query.name),
            kind=_KINDS[query.type],
            minimum=query.minimum,
            maximum=query.maximum,
            step=query.step,
            default=query.default_value,
            value=self.call(abi.G_CTRL, abi.ControlValue(id=query.id)).value,
            inactive=bool(query.flags & abi.CTRL_FLAG_INACTIVE),
            menu=self._menu(query) if _KINDS[query.type] == "menu" else {},
        )

    def _menu(self, query: abi.ControlQuery) -> dict[int, str]:
        lines = {}
        for index in range(query.minimum, query.maximum + 1):
            try:
                line = self.call(abi.QUERYMENU, abi.MenuQuery(id=query.id, index=index))
            except OSError as error:
                if error.errno == errno.EINVAL:
                    continue  # menus have gaps: not every exposure mode exists on every camera
                raise
            text = bytes(line.text)
            if query.type == abi.CTRL_TYPE_INTEGER_MENU:
                lines[index] = str(int.from_bytes(text[:8], "little", signed=True))
            else:
                lines[index] = text.split(b"\0")[0].decode("ascii", "replace")
        return lines

    def _list(self, request: int, make: Callable[[], abi.Struct]) -> Iterator[abi.Struct]:
        """The driver's answers for index 0, 1, ... until it has no more."""
        for index in range(256):
            structure = make()
            ctypes.c_uint32.from_buffer(structure).value = index  # every listing starts with its index
            try:
                yield self.call(request, structure)
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOTTY):
                    return
                raise


def _plain(name: bytes) -> str:
    """`Exposure Time, Absolute` -> `exposure_time_absolute`, the spelling of v4l2-ctl."""
    letters = name.decode("ascii", "replace").lower()
    return "_".join("".join(one if one.isalnum() else " " for one in letters).split())
