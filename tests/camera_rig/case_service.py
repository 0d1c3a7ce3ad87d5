"""The camera service with a real uvcvideo below it: fresh pictures, and an honest reason where there is none."""

import json
import os
import random
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from tests.camera_rig.rig import Webcam, wait_for
from tests.camera_rig.service import Answer, Service
from tests.camera_rig.stamps import Stamp, grey_stamp, jpeg_stamp

FRAME = 1 / 30


def stamp_of_fresh(answer: Answer) -> Stamp:
    """The stamp of a picture that must have been exposed after it was asked for."""
    assert answer.status == 200, answer.body
    stamp = jpeg_stamp(answer.body)
    assert answer.body.startswith(b"\xff\xd8")
    assert answer.body.endswith(b"\xff\xd9")
    assert stamp.exposed_at > answer.asked_at, f"exposed {answer.asked_at - stamp.exposed_at:.4f} s before the request"
    return stamp


def ask_aside(service: Service, answers: list[Answer], query: str) -> threading.Thread:
    """One request on a connection of its own, while the case does something else."""
    thread = threading.Thread(target=lambda: answers.append(service.snapshot_aside(query)))
    thread.start()
    return thread


@pytest.mark.timeout(600)
def test_300_requests_at_random_times_all_get_a_frame_exposed_after_them(webcam: Webcam) -> None:
    webcam.plug()
    chance = random.Random(1)
    with Service(cold=True) as service:
        service.wait_until("ok")
        waits = []
        for _ in range(300):
            time.sleep(chance.uniform(0, 0.06))
            answer = service.snapshot()
            stamp_of_fresh(answer)
            waits.append(answer.answered_at - answer.asked_at)
        resident = service.resident()
        print(f"p50 {1000 * sorted(waits)[150]:.0f} ms, p90 {1000 * sorted(waits)[270]:.0f} ms, RSS {resident:.0f} MB")
        assert resident < 75
        assert service.stop() < 5


NIGHT = ("--real", "0.125", "0.2")
"""5 to 8 frames a second of the 30 that it announces, each exposed for all of its time."""
DUSK = ("--real", "0.0333", "0.0333")
"""30 frames a second, each exposed for all of its time."""


def all_fresh(options: tuple[str, ...], requests: int, *, an_older_one_before: bool = False) -> None:
    """`requests` at random times, none of which may be answered with an exposure that began before it."""
    chance = random.Random(1)
    with Webcam("Rig Night", "N1", 0, *options) as camera, Service() as service:
        camera.plug()
        service.wait_until("ok")
        waits = []
        for _ in range(requests):
            time.sleep(chance.uniform(0, 0.2))
            if an_older_one_before:
                service.snapshot("max_age_ms=1000")
            answer = service.snapshot("timeout_ms=4000")
            stamp_of_fresh(answer)
            waits.append(answer.answered_at - answer.asked_at)
        print(f"p50 {1000 * sorted(waits)[requests // 2]:.0f} ms, worst {1000 * max(waits):.0f} ms")
        assert service.state()["opens"] == 1


@pytest.mark.parametrize("an_older_one_before", [False, True])
@pytest.mark.parametrize("camera", [NIGHT, DUSK], ids=["night", "dusk"])
def test_no_exposure_that_began_before_the_request_is_served_however_long_it_is(
    camera: tuple[str, ...], an_older_one_before: bool
) -> None:
    all_fresh(camera, 40, an_older_one_before=an_older_one_before)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("an_older_one_before", [False, True])
@pytest.mark.parametrize("camera", [NIGHT, DUSK], ids=["night", "dusk"])
def test_nor_in_two_hundred_requests(camera: tuple[str, ...], an_older_one_before: bool) -> None:
    all_fresh(camera, 200, an_older_one_before=an_older_one_before)


def test_a_picture_that_stands_still_is_a_stall_whatever_its_stamps_say_and_opening_anew_ends_it(
    webcam: Webcam,
) -> None:
    webcam.plug()
    with Service() as service:
        service.wait_until("ok")
        webcam.fault("freeze", seconds=6)
        began = time.monotonic()
        service.wait_until("camera_stalled")  # also while nobody asks
        assert time.monotonic() - began < 4
        answer = service.snapshot("timeout_ms=300")
        assert (answer.status, answer.problem()["reason"]) == (503, "camera_stalled")
        assert "again and again" in answer.problem()["detail"]
        stamp_of_fresh(service.snapshot("timeout_ms=20000"))
        assert service.state()["opens"] > 1


def test_a_black_picture_that_repeats_is_served_and_flagged_once_opening_anew_changed_nothing(webcam: Webcam) -> None:
    webcam.plug()
    with Service() as service:
        service.wait_until("ok")
        webcam.fault("dark", frames=600)
        service.wait_until("camera_stalled")
        wait_for("a dark picture", lambda: service.snapshot("timeout_ms=2000").status == 200)
        answer = service.snapshot()
        assert (answer.status, answer.headers.get("x-uniform")) == (200, "1")
        assert service.state()["state"] == "ok"
        opens = service.state()["opens"]
        time.sleep(3)
        assert service.state()["opens"] == opens


def test_damaged_pictures_whose_ends_are_there_are_passed_over(webcam: Webcam) -> None:
    webcam.plug()
    with Service() as service:
        service.wait_until("ok")
        for fault in ("hollow", "glue"):
            for _ in range(5):
                webcam.fault(fault, frames=6)
                answer = service.snapshot()
                stamp_of_fresh(answer)
                assert jpeg_fault(answer.body) == ""
        assert service.state()["bad_frames"] >= 5


def jpeg_fault(jpeg: bytes) -> str:
    """What libjpeg warns of; empty for a sound picture."""
    try:
        simplejpeg.decode_jpeg(jpeg, strict=True)
    except ValueError as error:
        return str(error)
    return ""


def test_a_makers_trailer_is_cut_and_another_size_is_the_pictures_own(webcam: Webcam) -> None:
    webcam.plug()
    with Service() as service:
        service.wait_until("ok")
        webcam.fault("trailer", frames=30)
        stamp_of_fresh(service.snapshot())
        webcam.fault("small", frames=60)
        wait_for("a smaller picture", lambda: service.snapshot().headers["x-width"] == "640")
        assert service.state()["bad_frames"] == 0


def test_a_slow_starter_is_waited_for_and_opened_once() -> None:
    with Webcam("Rig Slow", "S1", 0, "--first-frame", "3") as camera, Service() as service:
        camera.plug()
        stamp_of_fresh(service.snapshot("timeout_ms=20000"))
        assert service.state()["opens"] == 1


def test_controls_that_do_not_answer_cost_nobody_a_picture(webcam: Webcam) -> None:
    webcam.plug()
    with Service() as service:
        service.wait_until("ok")
        webcam.fault("mute", seconds=8)
        asking = threading.Thread(target=service.request_aside, args=("/controls",))
        asking.start()
        end = time.monotonic() + 6
        while time.monotonic() < end:
            answer = service.snapshot()
            stamp_of_fresh(answer)
            assert answer.answered_at - answer.asked_at < 4, "the kernel waits 5 s for each control"
        asking.join()
        assert service.state()["opens"] == 1
        wait_for("controls", lambda: service.request("GET", "/controls").status == 200, 60)


@pytest.mark.long
def test_fresh_holds_for_a_camera_that_exposes_for_20_ms() -> None:
    with Webcam("Rig Dark", "D1", 0, "--exposure", "0.02") as camera, Service() as service:
        camera.plug()
        service.wait_until("ok")
        for _ in range(30):
            time.sleep(0.037)
            stamp_of_fresh(service.snapshot())


@pytest.mark.long
def test_a_second_of_age_allowed_is_answered_at_once_and_truthfully(webcam: Webcam) -> None:
    webcam.plug()
    with Service() as service:
        service.wait_until("ok")
        service.snapshot("max_age_ms=1000")
        for _ in range(20):
            answer = service.snapshot("max_age_ms=1000")
            assert answer.asked_at - jpeg_stamp(answer.body).exposed_at < 1


@pytest.mark.long
def test_two_requests_at_once_share_a_frame(webcam: Webcam) -> None:
    webcam.plug()
    with Service() as service:
        service.wait_until("ok")
        for _ in range(10):
            answers: list[Answer] = []
            threads = [ask_aside(service, answers, "") for _ in range(2)]
            for thread in threads:
                thread.join()
            if len({stamp_of_fresh(answer).sequence for answer in answers}) == 1:
                return
        pytest.fail("ten pairs of requests and none shared a frame")


def test_a_camera_pulled_during_a_request_is_said_and_comes_back_within_5_s(webcam: Webcam) -> None:
    webcam.plug()
    with Service() as service:
        service.wait_until("ok")
        webcam.fault("stall", seconds=30)  # so that the request is surely under way
        answers: list[Answer] = []
        thread = ask_aside(service, answers, "timeout_ms=4000")
        time.sleep(0.3)
        pulled = time.monotonic()
        webcam.unplug()
        assert service.wait_until("camera_absent") - pulled < 2
        thread.join()
        assert answers[0].status == 503
        assert answers[0].problem()["reason"] == "camera_absent"
        assert service.snapshot("timeout_ms=200").problem()["reason"] == "camera_absent"
        webcam.plug()
        returned = time.monotonic()
        answer = service.snapshot("timeout_ms=8000")
        stamp_of_fresh(answer)
        assert answer.answered_at - returned < 5


def test_a_camera_that_returns_as_another_number_serves_within_5_s(webcam: Webcam) -> None:
    node = webcam.plug()
    with Service() as service:
        service.wait_until("ok")
        held = os.open(node, os.O_RDWR)
        try:
            webcam.unplug()
            service.wait_until("camera_absent")
            assert webcam.plug() != node
            returned = time.monotonic()
            answer = service.snapshot("timeout_ms=8000")
            stamp_of_fresh(answer)
            assert answer.answered_at - returned < 5
            assert service.state()["source"] != node
        finally:
            os.close(held)


def test_absent_at_start_is_the_same_as_unplugged(webcam: Webcam) -> None:
    with Service() as service:
        answer = service.snapshot("timeout_ms=300")
        assert (answer.status, answer.problem()["reason"]) == (503, "camera_absent")
        assert service.state()["state"] == "camera_absent"
        service.command("health")  # degraded is not unhealthy
        webcam.plug()
        returned = time.monotonic()
        answer = service.snapshot("timeout_ms=8000")
        stamp_of_fresh(answer)
        assert answer.answered_at - returned < 5


def test_a_stall_of_5_s_is_named_within_2_s_and_its_end_serves(webcam: Webcam) -> None:
    webcam.plug()
    with Service() as service:
        service.wait_until("ok")
        webcam.fault("stall", seconds=5)
        began = time.monotonic()
        assert service.wait_until("camera_stalled") - began < 2.2
        answer = service.snapshot("timeout_ms=500")
        assert (answer.status, answer.problem()["reason"]) == (503, "camera_stalled")
        stamp_of_fresh(service.snapshot("timeout_ms=12000"))
        assert time.monotonic() - began < 5 + 5


@pytest.mark.long
def test_truncated_frames_are_counted_and_none_is_served(webcam: Webcam) -> None:
    webcam.plug()
    with Service() as service:
        service.wait_until("ok")
        webcam.fault("truncate", frames=10)
        for _ in range(10):
            answer = service.snapshot()
            stamp_of_fresh(answer)
            assert cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR) is not None
        assert 1 <= service.state()["bad_frames"] <= 10


@pytest.mark.long
def test_nothing_but_truncated_frames_is_bad_frames(webcam: Webcam) -> None:
    webcam.plug()
    with Service() as service:
        service.wait_until("ok")
        webcam.fault("truncate", frames=90)
        answer = service.snapshot("timeout_ms=1000")
        assert (answer.status, answer.problem()["reason"]) == (503, "bad_frames")
        stamp_of_fresh(service.snapshot("timeout_ms=20000"))


@pytest.mark.long
def test_a_camera_with_yuyv_alone_is_served_fresh_as_jpeg() -> None:
    with Webcam("Rig Yuyv", "Y1", 0, "--only-yuyv") as camera, Service() as service:
        camera.plug()
        service.wait_until("ok")
        for _ in range(20):
            answer = service.snapshot()
            assert answer.status == 200
            grey = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_GRAYSCALE)
            assert grey is not None
            assert grey_stamp(grey.tobytes(), 320).exposed_at > answer.asked_at
        assert service.resident() < 95


@pytest.mark.long
def test_a_size_that_the_camera_has_not_is_shown_as_refused(webcam: Webcam) -> None:
    webcam.plug()
    with Service(CAMERA_RESOLUTION="1920x1080") as service:
        service.wait_until("ok")
        state = service.state()
        assert (state["width"], state["height"]) == (1280, 720)
        assert state["refusals"] == ["size 1920x1080: got 1280x720"]


@pytest.mark.long
def test_of_two_cameras_the_other_is_never_served(webcam: Webcam) -> None:
    webcam.plug()
    with Webcam("Rig Neighbour", "N1", 1) as neighbour, Service() as service:
        neighbour.plug()
        service.wait_until("ok")
        webcam.unplug()
        service.wait_until("camera_absent")
        for _ in range(3):
            answer = service.snapshot("timeout_ms=700")
            assert (answer.status, answer.problem()["reason"]) == (503, "camera_absent")
            assert "Rig Neighbour" in answer.problem()["detail"]
        webcam.plug()
        stamp_of_fresh(service.snapshot("timeout_ms=8000"))
        assert service.state()["name"].startswith("Rig Camera")


@pytest.mark.long
def test_after_idle_the_next_picture_is_as_fresh(webcam: Webcam) -> None:
    webcam.plug()
    with Service(CAMERA_IDLE_AFTER="1") as service:
        service.wait_until("ok")
        service.snapshot("max_age_ms=1000")
        wait_for("idle", lambda: service.state()["idle"])
        time.sleep(3)  # what would leave four old frames in a driver that is not drained
        stamp_of_fresh(service.snapshot())
        answer = service.snapshot("max_age_ms=100")
        assert answer.asked_at - jpeg_stamp(answer.body).exposed_at < 0.1 + FRAME


@pytest.mark.long
def test_controls_are_kept_across_an_unplug_and_a_restart(webcam: Webcam) -> None:
    webcam.plug()
    with Service() as service:
        service.wait_until("ok")
        listed = {one["name"]: one for one in service.request("GET", "/controls").problem()["controls"]}
        assert (listed["brightness"]["minimum"], listed["brightness"]["maximum"]) == (-64, 64)
        wish = {"exposure_time_absolute": 300, "auto_exposure": 1, "brightness": -20}
        assert service.request("PATCH", "/controls", wish).status == 200
        refused = service.request("PATCH", "/controls", {"brightness": 65})
        assert refused.status == 422
        assert "-64 to 64" in refused.problem()["detail"]
        chosen = {"exposure_mode": 1, "exposure_time": 300, "brightness": -20}
        assert webcam.state()["controls"].items() >= chosen.items()
        webcam.unplug()
        service.wait_until("camera_absent")
        webcam.plug()  # as it comes from the factory
        service.wait_until("ok")
        assert webcam.state()["controls"].items() >= chosen.items()
        service.stop()
        webcam.unplug()
        webcam.plug()
        service.start()
        service.wait_until("ok")
        assert webcam.state()["controls"].items() >= chosen.items()


@pytest.mark.long
def test_the_technicians_commands_work_while_the_service_holds_the_camera(webcam: Webcam, tmp_path: Path) -> None:
    node = webcam.plug()
    out = tmp_path / "x.jpg"
    with Service() as service:
        service.wait_until("ok")
        probe = service.command("probe", "--json")
        (camera,) = json.loads(probe.stdout)["cameras"]
        sizes = {one["fourcc"]: one["sizes"] for one in camera["formats"]}
        assert camera["node"] == node
        assert sizes["MJPG"][0] == {"width": 1280, "height": 720, "fps": [30.0, 15.0]}
        assert "brightness" in service.command("probe").stdout
        before = time.monotonic()
        service.command("snapshot", "--out", str(out))
        assert jpeg_stamp(out.read_bytes()).exposed_at > before
        service.stop()
        before = time.monotonic()
        service.command("snapshot", "--out", str(out))  # without any service
        assert jpeg_stamp(out.read_bytes()).exposed_at > before
