"""The V4L2 driver against the kernel's own uvcvideo: what it hands out is what the camera made, and nothing else."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import cv2
import numpy as np
import pytest

from tests.camera_rig.rig import PICTURES, Webcam, nodes
from tests.camera_rig.stamps import Stamp, grey_stamp, jpeg_stamp, stamped_jpeg, stamped_yuyv
from visant_camera.drivers.base import BadFrame, CameraAbsent, CameraGone, CameraStalled, Control, ControlRefused
from visant_camera.drivers.v4l2.driver import V4l2Driver


def next_bytes(driver: V4l2Driver, timeout: float = 5.0) -> bytes:
    frame = driver.next_frame(timeout, want=True)
    assert frame is not None
    return frame.data if isinstance(frame.data, bytes) else frame.data()


def made_by_camera(jpeg: bytes, size: str = "1280x720") -> bytes:
    """The bytes that the camera put on the wire for the frame whose stamp this one carries."""
    pictures = sorted((PICTURES / size).glob("*.jpg"))
    stamp = jpeg_stamp(jpeg)
    picture = pictures[stamp.sequence % len(pictures)].read_bytes()
    return stamped_jpeg(picture, stamp.sequence, round(stamp.exposed_at * 1e9))


def drain(driver: V4l2Driver, timeout: float) -> NoReturn:
    """Takes frames until the driver raises."""
    while True:
        driver.next_frame(timeout, want=False)


@contextmanager
def faulty_frames_kept() -> Iterator[None]:
    """For cameras plugged in meanwhile: uvcvideo hands out frames that it knows to be faulty, as from kernel 7.2 on."""
    switch = Path("/sys/module/uvcvideo/parameters/nodrop")
    before = switch.read_text()
    switch.write_text("1")
    yield
    switch.write_text(before)


def read_good_and_bad(driver: V4l2Driver, count: int) -> tuple[list[Stamp], int]:
    """Takes `count` frames: the stamps of those handed out, each compared with the camera's, and the number refused."""
    good: list[Stamp] = []
    bad = 0
    while len(good) + bad < count:
        try:
            data = next_bytes(driver)
        except BadFrame:
            bad += 1
            continue
        assert data == made_by_camera(data)
        good.append(jpeg_stamp(data))
    return good, bad


@pytest.mark.timeout(600)
def test_300_frames_pass_byte_for_byte(webcam: Webcam, driver: V4l2Driver) -> None:
    webcam.plug()
    opened = driver.open()
    assert (opened.encoding, opened.width, opened.height, opened.fps, opened.refusals) == ("mjpeg", 1280, 720, 30, ())
    last = -1
    for _ in range(300):
        frame = driver.next_frame(5.0, want=True)
        assert frame is not None
        assert isinstance(frame.data, bytes)
        assert frame.data == made_by_camera(frame.data)
        assert frame.sequence > last
        last = frame.sequence


@pytest.mark.long
def test_the_kernels_stamp_is_late_by_less_than_the_driver_admits(webcam: Webcam, driver: V4l2Driver) -> None:
    webcam.plug()
    opened = driver.open()
    for _ in range(5):  # a host that is busy elsewhere makes every stamp late; in one of five rounds it is not
        lateness = sorted(_lateness(driver) for _ in range(60))
        print(f"stamp late by {1000 * lateness[0]:.1f} to {1000 * lateness[-1]:.1f} ms")
        assert lateness[0] > 0
        if lateness[54] < opened.timestamp_late:
            return
    pytest.fail(f"nine of ten stamps must be late by less than {1000 * opened.timestamp_late:.1f} ms")


def _lateness(driver: V4l2Driver) -> float:
    """Seconds from the exposure to the kernel's stamp."""
    frame = driver.next_frame(5.0, want=True)
    assert frame is not None
    assert isinstance(frame.data, bytes)
    return frame.exposed_at - jpeg_stamp(frame.data).exposed_at


def test_an_unwanted_frame_is_drained_and_the_next_one_is_new(webcam: Webcam, driver: V4l2Driver) -> None:
    webcam.plug()
    driver.open()
    assert all(driver.next_frame(5.0, want=False) is None for _ in range(30))
    assert time.monotonic() - jpeg_stamp(next_bytes(driver)).exposed_at < 0.1


def test_a_pulled_camera_is_gone_at_once_and_returns_under_its_number(webcam: Webcam, driver: V4l2Driver) -> None:
    node = webcam.plug()
    driver.open()
    next_bytes(driver)
    pulled = time.monotonic()
    webcam.unplug()
    with pytest.raises(CameraGone):
        drain(driver, 2.0)
    assert time.monotonic() - pulled < 2.0
    driver.close()
    with pytest.raises(CameraAbsent, match="unplugged"):
        driver.open()
    assert webcam.plug() == node
    assert driver.open().source == node
    next_bytes(driver)


@pytest.mark.long
def test_a_camera_that_returns_as_another_number_is_found(webcam: Webcam, driver: V4l2Driver) -> None:
    node = webcam.plug()
    driver.open()
    held = os.open(node, os.O_RDWR)  # somebody else holds the old number
    webcam.unplug()
    driver.close()
    try:
        moved = webcam.plug()
        assert moved != node
        assert driver.open().source == moved
        next_bytes(driver)
    finally:
        os.close(held)


@pytest.mark.long
def test_a_camera_absent_at_start_is_found_when_it_comes(webcam: Webcam, driver: V4l2Driver) -> None:
    with pytest.raises(CameraAbsent, match="no camera is plugged in"):
        driver.open()
    webcam.plug()
    driver.open()
    next_bytes(driver)


@pytest.mark.long
def test_a_stall_of_5_s_is_noticed_and_reopening_ends_it(webcam: Webcam, driver: V4l2Driver) -> None:
    webcam.plug()
    driver.open()
    next_bytes(driver)
    webcam.fault("stall", seconds=5)
    began = time.monotonic()
    with pytest.raises(CameraStalled):
        drain(driver, 1.5)
    assert time.monotonic() - began < 2.0
    driver.close()
    driver.open()
    assert jpeg_stamp(next_bytes(driver, 10.0)).exposed_at > began
    assert time.monotonic() - began > 4.0


@pytest.mark.parametrize("fault", ["truncate", pytest.param("headless", marks=pytest.mark.long)])
def test_a_frame_without_its_end_or_its_beginning_is_refused(webcam: Webcam, driver: V4l2Driver, fault: str) -> None:
    webcam.plug()
    driver.open()
    next_bytes(driver)
    webcam.fault(fault, frames=10)
    good, bad = read_good_and_bad(driver, 40)
    assert (len(good), bad) == (30, 10)


def test_frames_that_the_camera_flags_never_come_through(webcam: Webcam, driver: V4l2Driver) -> None:
    with faulty_frames_kept():
        webcam.plug()
    driver.open()
    next_bytes(driver)
    webcam.fault("flag_error", frames=10)
    good, bad = read_good_and_bad(driver, 40)
    assert (len(good), bad) == (30, 10)


def test_frames_that_the_kernel_drops_are_a_gap_and_no_more(webcam: Webcam, driver: V4l2Driver) -> None:
    webcam.plug()
    driver.open()
    before = jpeg_stamp(next_bytes(driver)).sequence
    webcam.fault("flag_error", frames=10)
    good, bad = read_good_and_bad(driver, 30)
    assert (len(good), bad) == (30, 0)
    assert good[-1].sequence - before >= 40


@pytest.mark.long
def test_flagged_frames_are_noticed_while_nobody_wants_any(webcam: Webcam, driver: V4l2Driver) -> None:
    with faulty_frames_kept():
        webcam.plug()
    driver.open()
    webcam.fault("flag_error", frames=5)
    refused = 0
    for _ in range(30):
        try:
            driver.next_frame(5.0, want=False)
        except BadFrame:
            refused += 1
    assert refused == 5


def test_a_camera_with_yuyv_alone_hands_out_its_pixels(driver: V4l2Driver) -> None:
    with Webcam("Rig Yuyv", "Y1", 0, "--only-yuyv") as camera:
        camera.plug()
        opened = driver.open()
        assert (opened.encoding, opened.width, opened.height) == ("yuyv", 320, 240)
        assert opened.refusals == ("format MJPG: got YUYV", "size 1280x720: got 320x240")
        for _ in range(10):
            pixels = np.frombuffer(next_bytes(driver), np.uint8).reshape(240, 320, 2)
            stamp = grey_stamp(pixels[:, :, 0].tobytes(), 320)
            assert pixels.tobytes() == stamped_yuyv(320, 240, stamp.sequence, round(stamp.exposed_at * 1e9))
        jpeg = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_YUV2BGR_YUYV))[1]
        grey = cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE)
        assert grey is not None
        assert grey_stamp(grey.tobytes(), 320) == stamp


def test_a_size_that_the_camera_has_not_becomes_its_nearest_and_says_so(webcam: Webcam) -> None:
    webcam.plug()
    for wanted, got in (((1920, 1080), (1280, 720)), ((800, 600), (640, 480))):
        driver = V4l2Driver("0", size=wanted, fps=25)
        try:
            opened = driver.open()
            assert (opened.width, opened.height) == got
            assert opened.refusals[0] == "size {}x{}: got {}x{}".format(*wanted, *got)
            assert opened.refusals[1] == "fps 25: got 30"
            data = next_bytes(driver)
            assert data == made_by_camera(data, "{}x{}".format(*got))
        finally:
            driver.close()


@pytest.mark.long
def test_a_slower_rate_is_granted_and_kept(webcam: Webcam) -> None:
    webcam.plug()
    driver = V4l2Driver("0", size=(640, 480), fps=15)
    try:
        assert driver.open().fps == 15
        first = jpeg_stamp(next_bytes(driver))
        for _ in range(14):
            last = jpeg_stamp(next_bytes(driver))
        assert last.exposed_at - first.exposed_at > 14 / 15 * 0.9
    finally:
        driver.close()


def test_controls_are_listed_set_and_refused(webcam: Webcam, driver: V4l2Driver) -> None:
    webcam.plug()
    driver.open()

    def control(name: str) -> Control:
        return next(one for one in driver.controls() if one.name == name)

    brightness = control("brightness")
    assert (brightness.minimum, brightness.maximum, brightness.value, brightness.kind) == (-64, 64, 0, "integer")
    driver.set_control("brightness", -20)
    assert control("brightness").value == -20
    assert webcam.state()["controls"]["brightness"] == -20
    mode = control("auto_exposure")
    assert mode.menu == {1: "Manual Mode", 3: "Aperture Priority Mode"}
    assert control("exposure_time_absolute").inactive
    driver.set_control("auto_exposure", 1)
    assert not control("exposure_time_absolute").inactive
    driver.set_control("exposure_time_absolute", 400)
    assert webcam.state()["controls"]["exposure_time"] == 400
    with pytest.raises(ControlRefused):
        driver.set_control("power_line_frequency", 9)
    with pytest.raises(ControlRefused, match="no such control"):
        driver.set_control("zoom_absolute", 1)
    next_bytes(driver)  # the stream went on


@pytest.mark.long
def test_a_control_that_cannot_be_read_costs_neither_the_others_nor_the_pictures(driver: V4l2Driver) -> None:
    with Webcam("Rig Mute", "M1", 0, "--broken-control", "contrast") as camera:
        camera.plug()
        driver.open()
        names = [one.name for one in driver.controls()]
        assert "brightness" in names
        assert "sharpness" in names
        assert "contrast" not in names
        driver.set_control("brightness", 5)
        next_bytes(driver)


def test_of_two_cameras_the_neighbour_is_never_taken(webcam: Webcam, driver: V4l2Driver) -> None:
    node = webcam.plug()
    with Webcam("Rig Neighbour", "N1", 1) as neighbour:
        other = neighbour.plug()
        assert (node, other) == ("/dev/video0", "/dev/video2")
        assert driver.open().name.startswith("Rig Camera")
        webcam.unplug()
        driver.close()
        for _ in range(3):
            with pytest.raises(CameraAbsent, match="Rig Neighbour"):
                driver.open()
        webcam.plug()
        assert driver.open().name.startswith("Rig Camera")


def test_a_neighbour_that_is_back_first_after_the_hub_dropped_both_is_not_taken(
    webcam: Webcam, driver: V4l2Driver
) -> None:
    webcam.plug()
    driver.open()
    with Webcam("Rig Neighbour", "N1", 1) as neighbour:
        neighbour.plug()  # while the first one streams
        end = time.monotonic() + 2
        while time.monotonic() < end:
            driver.next_frame(5.0, want=False)
        webcam.unplug()
        neighbour.unplug()
        driver.close()
        with pytest.raises(CameraAbsent, match="is unplugged"):
            driver.open()
        neighbour.plug()
        driver._finder._replaced_after = 0.0
        with pytest.raises(CameraAbsent, match="Rig Neighbour"):
            driver.open()
        webcam.plug()
        assert driver.open().name.startswith("Rig Camera")
        driver.close()


@pytest.mark.long
def test_a_twin_with_the_same_serial_that_came_later_is_not_taken(webcam: Webcam, driver: V4l2Driver) -> None:
    webcam.plug()
    driver.open()
    with Webcam("Rig Twin", "RIG0001", 1) as twin:
        twin.plug()  # unseen so far: the driver looks only when it opens
        webcam.unplug()
        driver.close()
        with pytest.raises(CameraAbsent, match="Rig Twin"):
            driver.open()


@pytest.mark.long
def test_a_camera_that_replaces_a_broken_one_is_taken(webcam: Webcam, driver: V4l2Driver) -> None:
    webcam.plug()
    driver.open()
    webcam.unplug()
    driver.close()
    with pytest.raises(CameraAbsent):
        driver.open()
    with Webcam("Rig Successor", "S1", 1) as successor:
        successor.plug()
        with pytest.raises(CameraAbsent, match="Rig Successor"):
            driver.open()
        driver._finder._replaced_after = 0.0  # half a minute is nothing that a kernel could add to
        assert driver.open().name.startswith("Rig Successor")
        next_bytes(driver)
        driver.close()


@pytest.mark.long
def test_two_cameras_and_neither_has_the_number_is_an_honest_refusal() -> None:
    with Webcam("Rig Left", "L1", 0) as left, Webcam("Rig Right", "R1", 1) as right:
        left.plug()
        right.plug()
        with pytest.raises(CameraAbsent, match=r"Rig Left.*Rig Right.*/dev/v4l/by-path/"):
            V4l2Driver("1").open()  # /dev/video1 is the metadata node of the left one


def test_a_link_names_the_camera_for_good(webcam: Webcam) -> None:
    webcam.plug()
    links = Path("/dev/v4l/by-path")
    links.mkdir(parents=True, exist_ok=True)
    link = links / "platform-rig-video-index0"
    with Webcam("Rig Neighbour", "N1", 1) as neighbour:
        link.symlink_to(neighbour.plug())
        driver = V4l2Driver(str(link))
        try:
            assert driver.open().name.startswith("Rig Neighbour")
            neighbour.unplug()
            driver.close()
            with pytest.raises(CameraAbsent, match=str(link)):
                driver.open()
        finally:
            driver.close()
            link.unlink()


@pytest.mark.long
def test_the_metadata_node_is_no_camera(webcam: Webcam) -> None:
    webcam.plug()
    pictures, metadata = nodes("Rig Camera")
    driver = V4l2Driver(metadata)  # /dev/video1, say
    try:
        assert driver.open().source == pictures
    finally:
        driver.close()


@pytest.mark.long
def test_a_camera_in_use_is_named_as_such(webcam: Webcam, driver: V4l2Driver) -> None:
    webcam.plug()
    driver.open()
    second = V4l2Driver("0")
    with pytest.raises(CameraAbsent, match="another process streams from it"):
        second.open()
    next_bytes(driver)


@pytest.mark.long
def test_five_openings_leave_no_descriptor_behind(webcam: Webcam, driver: V4l2Driver) -> None:
    webcam.plug()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        driver.open()
        next_bytes(driver)
        driver.close()
    assert len(os.listdir("/proc/self/fd")) == before
