"""Which device node is the camera: skips what is no camera, and never takes the other one of two.

A `Finder` lives as long as its driver. It keeps to the camera it first chose, by USB port and by serial number, so
that a camera that returns under another number is found and its neighbour is not taken for it.
"""

import errno
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from visant_camera.drivers.v4l2.node import Node

SYSFS = Path("/sys/class/video4linux")
NOT_CAMERAS = ("bcm2835", "pisp", "rp1-cfe", "rp1_cfe", "unicam", "rpi-hevc", "rpivid")
"""How driver and node names of a Raspberry Pi's own video hardware begin: codecs, image pipeline, camera port. They
register some twenty nodes and hand out no webcam's picture. Source: the drivers in raspberrypi/linux."""
_REMEDY = "set CAMERA_SOURCE to one of /dev/v4l/by-path/ or /dev/v4l/by-id/"


class NoCamera(Exception):
    """No node may be taken now; the text says why and what to do."""


@dataclass(frozen=True)
class VideoDevice:
    """A node that hands out pictures.

    `name` is what the camera calls itself; `port` where it is plugged in (its USB device in sysfs); `model` the USB
    vendor and product id; `serial` is empty where the camera has none. Cheap cameras of one model share a serial.
    `index` tells the nodes of one camera apart, which has several where it streams twice (colour and infrared, say).
    """

    node: str
    name: str
    port: str
    model: str = ""
    serial: str = ""
    index: int = 0

    @property
    def number(self) -> int:
        """The N of /dev/videoN."""
        return int(self.node.removeprefix("/dev/video"))

    def has_place_of(self, other: "VideoDevice") -> bool:
        """Same model on the same port, and the same of its nodes; where both have a serial number, the same."""
        same = (self.port, self.model, self.index) == (other.port, other.model, other.index)
        return same and (self.serial == other.serial or not self.serial or not other.serial)


REPLACED_AFTER = 30.0
"""Seconds that a camera must be away until one that was plugged in meanwhile counts as its replacement: a hub that
resets, or one whose power fails for a moment, brings its cameras back in any order."""
_WATCH_EVERY = 1.0  # seconds


class Finder:
    """`Finder("0").find()` -> VideoDevice, or NoCamera. `source`: a number, /dev/videoN, or a link below /dev/v4l/.

    A number is a wish: the sole camera is taken under any number. With two, the one of that number is taken, and from
    then on that very camera. `list_devices` is what is plugged in now, `clock` counts seconds.
    """

    def __init__(
        self,
        source: str,
        *,
        list_devices: Callable[[], Sequence[VideoDevice]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        replaced_after: float = REPLACED_AFTER,
    ) -> None:
        self._source = source
        self._list = list_devices or plugged_in
        self._look = list_devices or named
        self._names: Callable[[], frozenset[str]] = names if list_devices is None else self._nodes
        self._seen: frozenset[str] = frozenset()
        self._clock = clock
        self._replaced_after = replaced_after
        self._chosen: VideoDevice | None = None
        self._neighbours: set[VideoDevice] = set()
        self._lost_at: float | None = None
        self._first_look = False
        self._watched_at = float("-inf")

    def _nodes(self) -> frozenset[str]:
        return frozenset(one.node for one in self._look())

    def watch(self) -> None:
        """To be called while the chosen camera streams: who is plugged in beside it is its neighbour."""
        now = self._clock()
        if self._chosen is None or now - self._watched_at < _WATCH_EVERY:
            return
        self._watched_at = now
        seen, self._seen = self._seen, self._names()
        if seen == self._seen:
            return
        self._neighbours.update(one for one in self._look() if not one.has_place_of(self._chosen))

    def lost(self) -> None:
        """Tells that the chosen camera failed: whatever else the next look sees has been its neighbour."""
        self._first_look = True
        if self._lost_at is None:
            self._lost_at = self._clock()

    def find(self) -> VideoDevice:
        """The device to open now. Raises NoCamera."""
        devices = sorted(self._list(), key=lambda device: device.number)
        number = self._source.removeprefix("/dev/video")
        if not number.isdecimal():
            return _linked(self._source, devices)
        self._chosen = self._again(self._chosen, devices) if self._chosen else _first(int(number), devices)
        self._neighbours.update(one for one in devices if one != self._chosen)
        self._lost_at = None
        self._first_look = False
        self._seen = frozenset()
        return self._chosen

    def _again(self, chosen: VideoDevice, devices: list[VideoDevice]) -> VideoDevice:
        for device in devices:
            if device.has_place_of(chosen):
                return device
        if self._first_look:
            # Nobody moves a plug between the loss and this look: these were there before.
            self._neighbours.update(devices)
            self._first_look = False
        strangers = [one for one in devices if not any(one.has_place_of(other) for other in self._neighbours)]
        moved = [one for one in strangers if one.serial and (one.model, one.serial) == (chosen.model, chosen.serial)]
        if len(moved) == 1:
            return moved[0]
        away = self._clock() - self._lost_at if self._lost_at is not None else 0.0
        if len(strangers) == 1 and away >= self._replaced_after:
            return strangers[0]  # plugged in after the loss: a replacement
        if not devices:
            raise NoCamera(f"{chosen.name} is unplugged")
        raise NoCamera(f"{chosen.name} is unplugged, and {_names(devices)} is not taken in its place; {_REMEDY}")


def plugged_in(
    sysfs: Path = SYSFS, *, takes_pictures: Callable[[VideoDevice], bool] | None = None
) -> list[VideoDevice]:
    """Every node that hands out pictures now, a Pi's own video hardware left out. `takes_pictures` asks the node."""
    asks = takes_pictures or _takes_pictures
    return [device for device in map(_device, sysfs.glob("video*")) if device and asks(device)]


def names(sysfs: Path = SYSFS) -> frozenset[str]:
    """Every video node there is, whatever it is: 50 us, where looking at each takes milliseconds."""
    try:
        return frozenset(os.listdir(sysfs))
    except OSError:
        return frozenset()


def named(sysfs: Path = SYSFS) -> list[VideoDevice]:
    """Every node that may be a camera's, by what sysfs says alone: asking the nodes would wake cameras that sleep."""
    return [device for device in map(_device, sysfs.glob("video*")) if device]


def lasting_names(node: str, links: Path = Path("/dev/v4l")) -> list[str]:
    """The links that lead to `node`, by-id before by-path: names that stay when numbers change. Needs udev."""
    return [str(link) for link in sorted(links.glob("by-*/*")) if os.path.realpath(link) == node]


def _first(number: int, devices: list[VideoDevice]) -> VideoDevice:
    for device in devices:
        if device.number == number:
            return device
    if len({device.port for device in devices}) == 1:
        return devices[0]
    if not devices:
        raise NoCamera("no camera is plugged in")
    raise NoCamera(f"none of {_names(devices)} is /dev/video{number}; {_REMEDY}")


def _linked(source: str, devices: list[VideoDevice]) -> VideoDevice:
    node = os.path.realpath(source)
    for device in devices:
        if device.node == node:
            return device
    if not os.path.lexists(source):
        raise NoCamera(f"{source} is not there: unplugged, or plugged in elsewhere")
    raise NoCamera(f"{source} leads to {node}, which hands out no pictures")


def _names(devices: list[VideoDevice]) -> str:
    return ", ".join(f"{device.name} ({device.node})" for device in devices)


def _device(entry: Path) -> VideoDevice | None:
    """What sysfs says of a node; None for a Pi's own hardware and for a node that vanished meanwhile."""
    name = _read(entry / "name")
    parent = (entry / "device").resolve()
    driver = (parent / "driver").resolve().name
    if not name or name.startswith(NOT_CAMERAS) or driver.startswith(NOT_CAMERAS):
        return None
    index = int(_read(entry / "index") or 0)
    usb = next((one for one in (parent, *parent.parents) if (one / "idVendor").exists()), None)
    if usb is None:
        return VideoDevice(f"/dev/{entry.name}", name, str(parent), index=index)
    model = f"{_read(usb / 'idVendor')}:{_read(usb / 'idProduct')}"
    return VideoDevice(f"/dev/{entry.name}", name, str(usb), model, _read(usb / "serial"), index)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _takes_pictures(device: VideoDevice) -> bool:
    try:
        with Node(device.node) as opened:
            return opened.takes_pictures()
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.ENXIO):
            return False  # unplugged meanwhile
        return device.index == 0  # kept, so that opening it tells the user what is wrong
