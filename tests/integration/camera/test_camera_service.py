"""The service as it runs: signals, health, commands, memory."""

import io
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.integration.camera.conftest import Service, Start, Until, wait_until
from tests.support.not_none import not_none
from tests.support.pictures import pixel


def test_a_picture_is_newer_than_its_request_by_its_own_word(start: Start) -> None:
    service = start(CAMERA_SOURCE="fake")
    service.until("ok")
    for _ in range(20):
        asked = time.monotonic_ns()
        answer = service.http.get("/snapshot")
        image = Image.open(io.BytesIO(answer.content))
        image.load()
        found = not_none(re.match(rb"seq=(\d+);t=(\d+);wall=", image.info["comment"]))
        assert int(found[2]) >= asked
        assert found[1].decode() == answer.headers["x-sequence"]


def test_the_end_comes_in_time_with_viewers_and_requests_under_way(start: Start, until: Until) -> None:
    service = start(CAMERA_SOURCE="fake")
    service.until("ok")
    service.http.post("/fake/faults", json={"fault": "stalled"})
    service.until("camera_stalled")
    with httpx.Client(base_url=service.url, trust_env=False) as other, other.stream("GET", "/stream"):
        answers: list[httpx.Response] = []
        before = service.connections()
        asking = threading.Thread(target=_ask, args=(service.url, answers))
        asking.start()
        until(lambda: service.connections() - before)
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 8
        asking.join()
    assert [(one.status_code, one.json()["reason"]) for one in answers] == [(503, "camera_starting")]
    assert "Traceback" not in service.log
    assert "[ERROR]" not in service.log


def _ask(url: str, answers: list[httpx.Response]) -> None:
    answers.append(httpx.get(f"{url}/snapshot?timeout_ms=30000", timeout=40, trust_env=False))


def test_health_says_healthy_degraded_or_not_running(start: Start, until: Until) -> None:
    service = start(CAMERA_SOURCE="fake")
    service.until("ok")
    until(lambda: service.command("health").stdout == "healthy\n")
    service.http.post("/fake/faults", json={"fault": "absent"})
    service.until("camera_absent")
    found = service.command("health")
    assert found.returncode == 0
    assert found.stdout.startswith("degraded: camera: camera_absent: ")
    nowhere = service.command("health", HEARTBEAT_FILE=str(service.folder / "other"))
    assert nowhere.returncode == 1
    assert "no heartbeat" in nowhere.stdout


def test_the_process_lives_through_every_fault_and_serves_again(start: Start) -> None:
    service = start(CAMERA_SOURCE="fake")
    service.until("ok")
    for fault, reason, known, timeout_ms in (
        ("absent", "camera_absent", "camera_absent", 300),
        ("stalled", "camera_stalled", "camera_stalled", 300),
        ("frozen", "camera_stalled", "ok", 5000),  # it is found out only when somebody asks
        ("bad_frames", "bad_frames", "bad_frames", 300),
    ):
        service.http.post("/fake/faults", json={"fault": fault})
        service.until(known)
        answer = service.http.get(f"/snapshot?timeout_ms={timeout_ms}")
        if answer.status_code == 200:  # the frame that was under way when the camera's mood changed
            answer = service.http.get(f"/snapshot?timeout_ms={timeout_ms}")
        assert (answer.status_code, answer.json()["reason"]) == (503, reason), fault
        service.http.post("/fake/faults", json={"fault": "none"})
        assert service.http.get("/snapshot?timeout_ms=30000").status_code == 200, fault
    assert service.process.poll() is None


def test_a_taken_port_is_one_line(start: Start) -> None:
    service = start(CAMERA_SOURCE="fake")
    found = service.command("run")
    assert found.returncode == 78
    assert (found.stderr + found.stdout).count("\n") == 1
    assert found.stderr.startswith(f"[ERROR] HTTP_PORT={service.env['HTTP_PORT']}: cannot listen")


def test_a_heartbeat_that_cannot_be_written_is_one_line(start: Start, tmp_path: Path) -> None:
    service = start(CAMERA_SOURCE="fake")
    place = tmp_path / "nowhere" / "heartbeat"
    found = service.command("run", HTTP_PORT="0", HEARTBEAT_FILE=str(place))
    assert found.returncode == 78
    assert found.stderr.startswith(f"[ERROR] HEARTBEAT_FILE={place} cannot be written (No such file or directory)")
    assert (found.stderr + found.stdout).count("\n") == 1


def test_fifty_requests_at_once_are_all_served(start: Start) -> None:
    service = start(CAMERA_SOURCE="fake")
    service.until("ok")
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=_ask, args=(service.url, answers)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.status_code for one in answers] == [200] * 50


def test_an_empty_video_is_an_absent_camera(start: Start, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    service = start(CAMERA_SOURCE=str(tmp_path / "clip.mp4"))
    service.until("camera_absent")
    assert service.state()["detail"].endswith("clip.mp4: it is no video that can be read")


def test_an_address_with_a_slip_of_the_pen_is_an_absent_camera_in_one_line(start: Start, until: Until) -> None:
    service = start(CAMERA_SOURCE="rtsp://192.168.1..50/stream")
    service.until("camera_absent")
    assert service.state()["detail"] == "rtsp://192.168.1..50/stream: no host can have this name or address"
    until(lambda: service.command("health").stdout.startswith("degraded"))
    assert service.log.count("no host can have this name") == 1
    assert "Traceback" not in service.log


def test_a_source_that_names_nothing_is_one_line(start: Start) -> None:
    service = start(CAMERA_SOURCE="fake")
    found = service.command("run", CAMERA_SOURCE="webcam")
    assert found.returncode == 78
    assert (found.stderr + found.stdout).count("\n") == 1


def test_controls_last_through_a_kill(start: Start, tmp_path: Path) -> None:
    service = start(tmp_path / "same", CAMERA_SOURCE="fake")
    service.until("ok")
    assert service.http.patch("/controls", json={"brightness": 11}).json()["kept"] is True
    service.process.send_signal(signal.SIGKILL)
    service.process.wait()
    again = start(tmp_path / "same", CAMERA_SOURCE="fake")
    again.until("ok")
    values = {one["name"]: one["value"] for one in again.http.get("/controls").json()["controls"]}
    assert values["brightness"] == 11


def test_one_picture_through_the_service_and_without_any(start: Start, tmp_path: Path) -> None:
    service = start(CAMERA_SOURCE="fake")
    service.until("ok")
    out = tmp_path / "x.jpg"
    found = service.command("snapshot", "--out", str(out))
    assert found.returncode == 0, found.stderr
    assert "by the running service" in found.stdout
    Image.open(out).load()
    service.stop()
    out.unlink()
    alone = service.command("snapshot", "--out", str(out))
    assert alone.returncode == 0, alone.stderr
    assert "from fake" in alone.stdout
    Image.open(out).load()


def test_one_picture_from_what_is_no_camera_service_is_taken_alone(start: Start, tmp_path: Path) -> None:
    """Another program's port must not be mistaken for ours."""
    service = start(CAMERA_SOURCE="fake")
    service.stop()
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(20)
        threading.Thread(target=_answer_nonsense, args=(other,), daemon=True).start()
        found = service.command("snapshot", "--out", str(tmp_path / "x.jpg"), HTTP_PORT=str(other.getsockname()[1]))
    assert found.returncode == 0, found.stderr
    assert "from fake" in found.stdout


def _answer_nonsense(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")


def test_one_picture_that_cannot_be_taken_is_one_line(start: Start, tmp_path: Path) -> None:
    service = start(CAMERA_SOURCE="fake")
    service.until("ok")
    service.http.post("/fake/faults", json={"fault": "absent"})
    found = service.command("snapshot", "--out", str(tmp_path / "x.jpg"))
    assert found.returncode == 1
    assert found.stderr.startswith("[ERROR] no picture: camera_absent: ")
    assert found.stderr.count("\n") == 1
    assert not (tmp_path / "x.jpg").exists()
    service.http.post("/fake/faults", json={"fault": "none"})
    service.until("ok")
    unwritable = service.command("snapshot", "--out", str(tmp_path / "no" / "x.jpg"))
    assert unwritable.returncode == 1
    assert unwritable.stderr == f"[ERROR] {tmp_path}/no/x.jpg cannot be written: No such file or directory\n"


def test_probe_answers_on_any_machine(start: Start) -> None:
    service = start(CAMERA_SOURCE="fake")
    found = service.command("probe", "--json")
    assert '"cameras":' in found.stdout
    assert found.returncode == (0 if '"node"' in found.stdout else 1)


@pytest.mark.usefixtures("real_start")
def test_jpeg_sources_need_no_opencv_and_little_memory(start: Start) -> None:
    service = start(CAMERA_SOURCE="fake")
    service.until("ok")
    for path in ("/snapshot", "/snapshot?max_age_ms=500", "/state", "/metrics", "/controls", "/"):
        assert service.http.get(path).status_code == 200
    proc = Path(f"/proc/{service.process.pid}")
    maps = (proc / "maps").read_text()
    assert "cv2" not in maps
    resident = int(not_none(re.search(r"VmRSS:\s+(\d+) kB", (proc / "status").read_text()))[1])
    # 11 MB of it are NumPy's, which simplejpeg brings
    assert resident < 70_000, f"{resident} kB"


def test_idling_costs_next_to_nothing(start: Start, until: Until) -> None:
    service = start(CAMERA_SOURCE="fake")
    service.until("ok")
    before, began = _cpu(service.process.pid), time.monotonic()
    frames = service.state()["frames"]
    until(lambda: service.state()["frames"] > frames + 90)
    share = (_cpu(service.process.pid) - before) / (time.monotonic() - began)
    assert share < 0.15, f"{share:.1%} of a core, polling of this test included"


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("name", ["shelf.jpg", "shelf.png"])
def test_an_image_file_is_served_as_it_is_now(start: Start, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.new("RGB", (64, 48), "red").save(path)
    service = start(CAMERA_SOURCE=str(path))
    service.until("ok")
    assert _colour(service) == "red"
    Image.new("RGB", (64, 48), "blue").save(tmp_path / f"next{path.suffix}")
    (tmp_path / f"next{path.suffix}").replace(path)
    assert _colour(service) == "blue"
    path.unlink()
    answer = service.http.get("/snapshot?timeout_ms=500")
    assert (answer.status_code, answer.json()["reason"]) == (503, "camera_absent")


def _colour(service: Service) -> str:
    answer = service.http.get("/snapshot")
    assert answer.status_code == 200, answer.text
    red, _, blue = pixel(Image.open(io.BytesIO(answer.content)).convert("RGB"), 30, 20)
    return "red" if red > 200 and blue < 60 else "blue" if blue > 200 and red < 60 else "neither"


def test_the_uploaders_way_in_is_open_while_strangers_fill_the_port(start: Start, tmp_path: Path) -> None:
    """Half-open requests, bodies that lag and answers that nobody reads: each takes a place of the port's, none of the
    socket's, and the port's are free again."""
    way_in = tmp_path / "camera.sock"
    service = start(CAMERA_SOURCE="fake", HTTP_SOCKET=str(way_in), CAMERA_RESOLUTION="320x240")
    host, port = "127.0.0.1", int(service.env["HTTP_PORT"])
    held = [socket.create_connection((host, port)) for _ in range(70)]
    for number, one in enumerate(held):
        one.sendall((b"", b"GET /snapshot HTTP/1.1\r\nHost: x\r\nX-Slow: ")[number % 2])
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(way_in)), base_url="http://camera", timeout=10) as inside:
        assert inside.get("/snapshot").status_code == 200
    wait_until(lambda: _answers(service))
    for one in held:
        one.close()
    assert way_in.stat().st_mode & 0o777 == 0o600


def _answers(service: Service) -> bool:
    try:
        return service.http.get("/snapshot", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_body_that_lags_is_given_up(start: Start) -> None:
    service = start(CAMERA_SOURCE="fake", CAMERA_RESOLUTION="320x240")
    with socket.create_connection(("127.0.0.1", int(service.env["HTTP_PORT"])), timeout=60) as lagging:
        lagging.sendall(b"PATCH /controls HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert lagging.recv(100).startswith(b"HTTP/1.1 408")


def test_a_socket_that_was_left_behind_is_replaced_and_a_file_is_not(start: Start, tmp_path: Path) -> None:
    way_in = tmp_path / "camera.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(way_in))
    left.close()
    service = start(CAMERA_SOURCE="fake", HTTP_SOCKET=str(way_in), CAMERA_RESOLUTION="320x240")
    file = tmp_path / "precious"
    file.write_text("picture")
    refused = service.command("run", HTTP_PORT="0", HTTP_SOCKET=str(file))
    assert refused.returncode == 78
    assert f"HTTP_SOCKET={file} cannot be made" in refused.stdout + refused.stderr
    assert file.read_text() == "picture"


def test_version_and_config(start: Start) -> None:
    service = start(CAMERA_SOURCE="fake")
    assert service.command("version").stdout.startswith("visant-camera ")
    shown = service.command("config", CAMERA_SOURCE="rtsp://eve:s3cret@camera/live?token=t0ken").stdout
    assert "CAMERA_SOURCE=rtsp://****@camera/live?****\n" in shown
    assert "s3cret" not in shown
    assert "t0ken" not in shown
