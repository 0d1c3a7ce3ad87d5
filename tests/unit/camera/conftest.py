"""A camera that does what a test tells it, the parts of the service around it, and a client of them."""

import io
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
from PIL import Image

from visant_camera.control_values import SavedValues
from visant_camera.desired_settings import DesiredSettings
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
from visant_camera.drivers.fake.faults import Faults
from visant_camera.drivers.fake.routes import fault_routes
from visant_camera.frame import Frame
from visant_camera.grabber import Grabber
from visant_camera.health import Health
from visant_camera.http.aiming import aiming_routes
from visant_camera.http.aiming.stream import Viewers
from visant_camera.http.app import make_app
from visant_camera.http.controls import Controls
from visant_camera.latest_frame import LatestFrame
from visant_camera.snapshots import Snapshots
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop

INTERVAL = 0.01


def numbered(number: int, jpeg: bytes = b"") -> bytes:
    """A JPEG of 4x2 pixels that says its number in a comment: no two are the same."""
    text = str(number).encode()
    return (jpeg or TINY).replace(b"\xff\xd8", b"\xff\xd8\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text, 1)


def drawn(size: tuple[int, int] = (4, 2)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, "JPEG")
    return file.getvalue()


TINY = drawn()
DAMAGED = TINY.replace(b"\xff\xda", b"\xff\xda", 1)[:-3] + b"\xff\xd9"
"""Whole by its structure; its last coded byte is missing."""
BRIGHTNESS = Control("brightness", "integer", -64, 64, 1, 0, 0)

Until = Callable[..., None]
"""The fixture `until`."""


@dataclass
class ScriptedDriver:
    """100 frames a second; the test flips its switches. `late`: seconds by which its timestamps are late."""

    late: float = 0.0
    present: bool = True
    sending: bool = True
    broken: bool = False
    frozen_at: float | None = None
    name: str = "Scripted"
    hang: threading.Event | None = None
    repeating: bool = False
    copies_between: int = 0
    first_frame: float = 0.0
    patience: float = 10.0
    opened_at: list[float] = field(default_factory=list)
    opens: int = 0
    closes: int = 0
    frames: int = 0
    copies: int = 0
    threads: set[str] = field(default_factory=set)
    settable: dict[str, Control] = field(default_factory=dict)
    refusing: bool = False
    history: list[tuple[str, int]] = field(default_factory=list)

    def open(self) -> Opened:
        self.threads.add(threading.current_thread().name)
        if not self.present:
            raise CameraAbsent("it is unplugged")
        self.opens += 1
        self.opened_at.append(time.monotonic())
        refused = ("size 8x8: got 4x2",)
        return Opened("scripted", self.name, "mjpeg", 4, 2, 1 / INTERVAL, refused, self.late, self.patience)

    def next_frame(self, timeout: float, *, want: bool) -> Frame | None:
        self.threads.add(threading.current_thread().name)
        if self.hang is not None:
            self.hang.wait()
        time.sleep(INTERVAL)
        exposed = time.monotonic() - INTERVAL
        if not self.present:
            raise CameraGone("it was unplugged")
        if not self.sending:
            time.sleep(timeout)
            raise CameraStalled("it sends nothing")
        if time.monotonic() < self.opened_at[-1] + self.first_frame:
            raise CameraStalled("its first frame takes its time")
        self.frames += 1
        if self.repeating or self.frames % (self.copies_between + 1):
            raise RepeatedFrame("the same picture comes again and again")
        if self.broken:
            raise BadFrame(f"frame {self.frames} is truncated")
        if not want:
            return None
        self.copies += 1
        stamp = self.frozen_at if self.frozen_at is not None else exposed + self.late
        return Frame(numbered(self.frames), "mjpeg", 4, 2, self.frames, stamp)

    def close(self) -> None:
        self.closes += 1

    def controls(self) -> Sequence[Control]:
        self.threads.add(threading.current_thread().name)
        return list(self.settable.values())

    def set_control(self, name: str, value: int) -> None:
        if self.refusing:
            raise ControlRefused("it is inactive")
        self.history.append((name, value))
        self.settable[name] = replace(self.settable[name], value=value)


@dataclass
class Rig:
    """A grabber with its surroundings, running."""

    driver: ScriptedDriver
    latest: LatestFrame
    health: Health
    grabber: Grabber
    snapshots: Snapshots

    def until(self, state: str, timeout: float = 15.0) -> None:
        """Waits until the health says `state`."""
        wait_until(lambda: self.health.state().state == state, timeout)


MakeRig = Callable[..., Rig]
"""The fixture `make_rig`."""


def wait_until(true: Callable[[], bool], timeout: float = 15.0) -> None:
    """Waits for a condition, and fails the test where it does not come."""
    end = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.005)


@pytest.fixture
def until() -> Until:
    return wait_until


@pytest.fixture
def driver() -> ScriptedDriver:
    return ScriptedDriver()


@pytest.fixture
def make_rig(driver: ScriptedDriver) -> Iterator[MakeRig]:
    """`make_rig(warmup=2)`: keyword arguments of Grabber, and `idle_after`."""
    made: list[Rig] = []

    def make(*, idle_after: float = 60.0, heartbeat: Heartbeat | None = None, **given: object) -> Rig:
        health = Health("scripted", heartbeat)
        latest = LatestFrame(quality=90, idle_after=idle_after)
        options = {"warmup": 0, "stall_after": 0.2, "margin": None, "heartbeat": heartbeat, **given}
        grabber = Grabber(driver, latest, health, **options)  # type: ignore[arg-type]
        made.append(Rig(driver, latest, health, grabber, Snapshots(latest, health)))
        grabber.start()
        return made[-1]

    yield make
    for rig in made:
        if rig.driver.hang is not None:
            rig.driver.hang.set()
        rig.grabber.stop()


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """A running one, frames coming."""
    made = make_rig()
    made.until("ok")
    return made


class Web(httpx.AsyncClient):
    """A client of the whole app; `saved` are the kept controls."""

    saved: SavedValues


@pytest.fixture
async def web(rig: Rig, driver: ScriptedDriver, tmp_path: Path) -> AsyncIterator[Web]:
    driver.settable = {"brightness": BRIGHTNESS}
    saved, desired = SavedValues(tmp_path), DesiredSettings(tmp_path)
    routes = [
        *Controls(rig.grabber, saved, desired).routes(),
        *aiming_routes(Viewers(rig.latest, Stop())),
        *fault_routes(Faults()),
    ]
    app = make_app(rig.snapshots, rig.health, desired, routes)
    async with Web(transport=httpx.ASGITransport(app), base_url="http://camera") as client:
        client.saved = saved
        yield client


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """`picture("red", "PNG", wanted=(32, 16))`: an image file's bytes, all of one colour."""

    def draw(colour: str, kind: str = "JPEG", wanted: tuple[int, int] = (32, 16)) -> bytes:
        file = io.BytesIO()
        Image.new("RGB", wanted, colour).save(file, kind)
        return file.getvalue()

    return draw
