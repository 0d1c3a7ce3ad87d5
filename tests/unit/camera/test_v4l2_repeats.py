"""Pictures that are byte for byte the one before, and what the driver makes of them."""

import io
import mmap
import random
from typing import Any

import pytest
from PIL import Image

from tests.unit.camera.conftest import drawn, numbered
from visant_camera.drivers.base import BadFrame, RepeatedFrame
from visant_camera.drivers.v4l2 import abi
from visant_camera.drivers.v4l2.driver import BUFFERS, V4l2Driver
from visant_camera.drivers.v4l2.repeats import LIVELY, Repeats

CHANCE = random.Random(1)


def held(data: bytes) -> mmap.mmap:
    memory = mmap.mmap(-1, max(1 << 17, len(data)))
    memory[: len(data)] = data
    return memory


def noise(length: int = 50_000) -> bytes:
    return CHANCE.randbytes(length)


def same(repeats: Repeats, data: bytes) -> bool:
    return repeats.same(held(data), len(data))


@pytest.mark.parametrize("place", [0, 100, 12_000, 25_000, 37_000, 49_999])
def test_one_other_byte_anywhere_is_another_picture(place: int) -> None:
    repeats = Repeats()
    picture = bytearray(noise())
    same(repeats, bytes(picture))
    assert same(repeats, bytes(picture))
    picture[place] ^= 1
    found = [same(repeats, bytes(picture)) for _ in range(2)]
    assert found == [False, True]


def test_of_two_pictures_alike_but_for_their_heads_neither_is_a_copy() -> None:
    repeats = Repeats()
    rest = noise()
    assert not any(same(repeats, b"%8d" % number + rest) for number in range(5))


def test_pictures_padded_to_one_length_are_told_apart() -> None:
    repeats = Repeats()
    pictures = [noise(60_000) + bytes(40_000) for _ in range(5)]
    assert not any(same(repeats, one) for one in pictures)


@pytest.mark.parametrize("length", [1, 10, 1024, 5000])
def test_pictures_of_any_length_are_compared(length: int) -> None:
    repeats = Repeats()
    picture = noise(length)
    assert [same(repeats, picture) for _ in range(3)] == [False, True, True]


def test_what_repeats_after_the_camera_was_opened_anew_is_known_as_such_until_pictures_live_again() -> None:
    repeats = Repeats()
    picture = noise()
    repeats.opened()
    same(repeats, picture)
    same(repeats, picture)
    assert not repeats.reopened
    repeats.opened()
    assert repeats.reopened
    for _ in range(LIVELY):
        assert repeats.reopened, "a few frames of warming up are no life"
        same(repeats, noise())
    assert not repeats.reopened


class Stream:
    """A driver between whose calls a test puts frames into the kernel's buffers, each with its stamp."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, format: str = "MJPG", size: tuple[int, int] = (4, 2)) -> None:
        self.driver = V4l2Driver("0")
        self.driver._format, self.driver._size = format, size
        self.driver._maps = [held(b"") for _ in range(BUFFERS)]
        self.driver._node = self  # type: ignore[assignment]
        monkeypatch.setattr(self.driver, "_wait", lambda timeout: None)
        monkeypatch.setattr("visant_camera.drivers.v4l2.driver.time.monotonic", lambda: 1e6)
        self._next: tuple[bytes, float] = (b"", 0.0)
        self._sequence = 0
        self.path = "/dev/video0"
        self.opened()

    def opened(self) -> None:
        """What `open` does beside talking to the device."""
        self.driver._stamp = self.driver._stamp_before = float("-inf")
        self.driver._repeats.opened()

    def call(self, request: int, buffer: Any) -> Any:
        if request == abi.DQBUF:
            data, stamp = self._next
            self._sequence += 1
            buffer.index = self._sequence % BUFFERS
            self.driver._maps[buffer.index][: len(data)] = data
            buffer.bytesused, buffer.sequence = len(data), self._sequence
            buffer.flags = abi.BUF_FLAG_TIMESTAMP_MONOTONIC
            buffer.seconds, buffer.microseconds = divmod(round(stamp * 1e6), 1_000_000)
        return buffer

    def frame(self, data: bytes, stamp: float, *, want: bool = True) -> Any:
        self._next = data, stamp
        return self.driver.next_frame(1.0, want=want)


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    return Stream(monkeypatch)


def test_a_frame_carries_the_stamp_of_the_one_before_also_of_one_that_nobody_wanted(stream: Stream) -> None:
    assert stream.frame(numbered(1), 10.0).begun_after == float("-inf")
    assert stream.frame(numbered(2), 10.2, want=False) is None
    frame = stream.frame(numbered(3), 10.4)
    assert (frame.exposed_at, frame.begun_after) == (10.4, 10.2)


def test_a_frame_that_is_not_whole_still_was_the_one_before(stream: Stream) -> None:
    with pytest.raises(BadFrame, match="no whole JPEG: it is cut off"):
        stream.frame(numbered(1)[:-2], 10.0)
    assert stream.frame(numbered(2), 10.2).begun_after == 10.0


def test_copies_of_a_frame_are_no_frames_before_the_next(stream: Stream) -> None:
    """A camera that exposes for 200 ms and fills its 30 frames a second with copies: what comes next began long ago."""
    stream.frame(numbered(1), 10.0)
    for copy in range(1, 6):
        with pytest.raises(RepeatedFrame):
            stream.frame(numbered(1), 10.0 + copy * 0.033, want=copy % 2 == 0)
    assert stream.frame(numbered(2), 10.2).begun_after == 10.0


def test_a_camera_that_stands_still_stays_so_after_it_was_opened_anew(stream: Stream) -> None:
    picture = gradient()
    stream.frame(picture, 10.0)
    for opening in range(3):
        for number in range(5):
            with pytest.raises(RepeatedFrame):
                stream.frame(picture, 11.0 + opening + number * 0.033)
        stream.opened()


def gradient() -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").save(file, "JPEG")
    return file.getvalue()


def test_a_picture_of_one_colour_that_repeats_is_served_and_flagged_once_opening_anew_changed_nothing(
    stream: Stream,
) -> None:
    dark = drawn((64, 64))
    assert not stream.frame(dark, 10.0).uniform
    with pytest.raises(RepeatedFrame):
        stream.frame(dark, 10.1)
    stream.opened()
    frames = [stream.frame(dark, 11.0 + number / 10) for number in range(3)]
    assert [frame.uniform for frame in frames] == [True] * 3
    assert (frames[2].exposed_at, frames[2].begun_after) == (11.2, 11.1)
    assert stream.frame(dark, 11.3, want=False) is None
    assert not stream.frame(numbered(9, drawn((64, 64))), 11.4).uniform, "there is light again"


def test_dark_pixels_that_repeat_are_served_too(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(monkeypatch, "YUYV", (64, 32))
    dark = bytes([16, 128]) * (64 * 32)
    stream.frame(dark, 10.0)
    with pytest.raises(RepeatedFrame):
        stream.frame(dark, 10.1)
    stream.opened()
    assert stream.frame(dark, 11.0).uniform


def test_a_trailer_is_cut_and_a_size_other_than_negotiated_is_the_pictures_own(stream: Stream) -> None:
    picture = drawn((32, 16))
    frame = stream.frame(picture + b"maker's own" + bytes(100), 10.0)
    assert frame.data == picture
    assert (frame.width, frame.height) == (32, 16)
