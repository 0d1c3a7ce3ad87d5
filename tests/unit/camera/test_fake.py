"""The fake: a real JPEG, exact stamps, faults on request, and no work that nobody asked for."""

import io
import re
import time
from itertools import pairwise
from typing import Any

import pytest
from PIL import Image

from tests.support.not_none import not_none
from tests.support.pictures import pixel
from visant_camera.drivers.base import BadFrame, CameraAbsent, CameraGone, CameraStalled
from visant_camera.drivers.fake.driver import FakeDriver
from visant_camera.drivers.fake.faults import Fault, Faults
from visant_camera.drivers.fake.mosaic import assemble, colour, segment, segment_length
from visant_camera.drivers.fake.scene import Scene
from visant_camera.jpeg import Leftovers, check, encode
from visant_contract.jpeg import Jpeg, read


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def fake(faults: Faults) -> FakeDriver:
    driver = FakeDriver((320, 240), 100, faults)
    driver.open()
    return driver


def test_a_frame_is_a_jpeg_that_carries_sequence_and_time(fake: FakeDriver) -> None:
    frame = not_none(fake.next_frame(1, want=True))
    jpeg = encode(frame, 90)
    image = Image.open(io.BytesIO(jpeg))
    image.load()
    assert image.size == (320, 240)
    assert read(jpeg) == Jpeg(320, 240, len(jpeg))
    check(jpeg, 320, 240, Leftovers())
    found = not_none(re.fullmatch(rb"seq=(\d+);t=(\d+);wall=(20\d\d-.*\+00:00)", image.info["comment"]))
    assert int(found[1]) == frame.sequence
    assert int(found[2]) / 1e9 == pytest.approx(frame.exposed_at, abs=1e-6)


def test_the_picture_moves_and_the_sequence_counts(fake: FakeDriver) -> None:
    frames = [not_none(fake.next_frame(1, want=True)) for _ in range(5)]
    assert all(after.sequence > before.sequence for before, after in pairwise(frames))
    assert len({encode(frame, 90) for frame in frames}) == 5


def test_frames_come_at_their_rate(fake: Any) -> None:
    first = fake.next_frame(1, want=True)
    for _ in range(19):
        last = fake.next_frame(1, want=True)
    assert time.monotonic() - first.exposed_at >= 0.19
    assert last.exposed_at - first.exposed_at == pytest.approx((last.sequence - first.sequence) / 100)


def test_nothing_is_drawn_before_somebody_asks(fake: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scene, "draw", lambda *given: pytest.fail("it was drawn"))
    assert fake.next_frame(1, want=False) is None
    assert callable(not_none(fake.next_frame(1, want=True)).data)


def test_frames_nobody_fetched_in_time_are_lost_not_old(fake: FakeDriver) -> None:
    time.sleep(0.2)
    frame = not_none(fake.next_frame(1, want=True))
    assert time.monotonic() - frame.exposed_at < 0.1


def test_absent_looks_like_unplugged(fake: FakeDriver, faults: Faults) -> None:
    faults.set(Fault(fault="absent"))
    with pytest.raises(CameraGone):
        fake.next_frame(1, want=True)
    with pytest.raises(CameraAbsent):
        fake.open()


def test_stalled_takes_the_whole_timeout(fake: FakeDriver, faults: Faults) -> None:
    faults.set(Fault(fault="stalled"))
    begin = time.monotonic()
    with pytest.raises(CameraStalled):
        fake.next_frame(0.2, want=True)
    assert time.monotonic() - begin >= 0.2


def test_frozen_repeats_one_moment(fake: FakeDriver, faults: Faults) -> None:
    faults.set(Fault(fault="frozen"))
    stamps = {not_none(fake.next_frame(1, want=True)).exposed_at for _ in range(5)}
    assert len(stamps) == 1


def test_bad_frames_are_bad(fake: FakeDriver, faults: Faults) -> None:
    faults.set(Fault(fault="bad_frames"))
    with pytest.raises(BadFrame):
        fake.next_frame(1, want=True)


def test_a_fault_ends_by_itself(fake: FakeDriver, faults: Faults) -> None:
    faults.set(Fault(fault="bad_frames", seconds=0.05))
    time.sleep(0.06)
    assert fake.next_frame(1, want=True) is not None
    assert faults.now() == Fault(fault="none")


@pytest.mark.parametrize("wanted", [(1280, 720), (1920, 1080), (640, 480), (333, 217), (16, 16)])
def test_any_size_is_drawn(wanted: tuple[int, int]) -> None:
    from datetime import UTC, datetime

    image = Image.open(io.BytesIO(Scene(*wanted).draw(7, 1.0, datetime.now(UTC), b"x")))
    image.load()
    assert image.size == wanted


@pytest.mark.parametrize("rgb", [(0, 0, 0), (255, 255, 255), (200, 30, 40), (20, 160, 90), (10, 20, 230)])
def test_a_cell_has_the_colour_it_was_given(rgb: tuple[int, int, int]) -> None:
    """255 bytes in the coded data, jumps from black to white and padding all come by."""
    cells = tuple(colour(*rgb) if place % 2 else colour(255, 255, 255) for place in range(8))
    jpeg = assemble(64, 8, b"", [segment(cells)], segment_length(8))
    image = Image.open(io.BytesIO(jpeg)).convert("RGB")
    for place in range(8):
        wanted = rgb if place % 2 else (255, 255, 255)
        found = pixel(image, place * 8 + 4, 4)
        assert all(abs(a - b) <= 3 for a, b in zip(found, wanted, strict=True)), (place, found, wanted)
