import json
import threading
import time
from pathlib import Path

import pytest

from visant_runtime.health import default_path, health
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.heartbeat_start import start_heartbeat


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.heartbeat"


def test_a_process_that_never_started_a_loop_is_unhealthy(path: Path) -> None:
    assert health(path)[0] == 1
    Heartbeat(path).fact("a", 1)
    assert health(path) == (1, "unhealthy: no loop has started")


def test_a_loop_that_stopped_makes_it_unhealthy_and_is_named(path: Path) -> None:
    beat = Heartbeat(path)
    beat.expect("drain", 60)
    beat.expect("deliver", 0.0)
    time.sleep(0.01)  # older than the zero seconds it may be
    status, line = health(path)
    assert status == 1
    assert "deliver" in line
    assert "drain" not in line


def test_degraded_is_healthy_and_says_why(path: Path) -> None:
    beat = Heartbeat(path)
    beat.expect("drain", 60)
    assert health(path) == (0, "healthy")
    beat.degraded("camera", "camera_absent")
    assert health(path) == (0, "degraded: camera: camera_absent")
    beat.degraded("camera", None)
    assert health(path) == (0, "healthy")


def test_a_file_from_before_a_reboot_is_unhealthy(path: Path) -> None:
    beat = Heartbeat(path)
    beat.expect("drain", 60)
    found = json.loads(path.read_text())
    found["loops"]["drain"]["at"] += 1e6
    path.write_text(json.dumps(found))
    assert health(path)[0] == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"loops": 5, "degraded": {}}', "\udcff"])
def test_a_damaged_file_is_unhealthy_not_an_exception(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    status, line = health(path)
    assert status == 1
    assert "\n" not in line


def test_threads_may_beat_together(path: Path) -> None:
    beat = Heartbeat(path)
    beat.expect("drain", 60)

    def work() -> None:
        for _ in range(200):
            beat.degraded("x", "y")
            beat.degraded("x", None)
            beat.beat("drain")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert health(path) == (0, "healthy")


def test_the_environment_may_name_the_file(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setenv("HEARTBEAT_FILE", str(path))
    assert Path(default_path("camera")) == path


def test_a_heartbeat_that_cannot_be_written_ends_the_start_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "absent" / "heartbeat"
    monkeypatch.setenv("HEARTBEAT_FILE", str(place))
    with pytest.raises(SystemExit):
        start_heartbeat("connector")
    said = capsys.readouterr().err
    assert said.startswith(f"[ERROR] HEARTBEAT_FILE={place} cannot be written")
    assert said.count("\n") == 1


def test_a_heartbeat_that_cannot_be_written_any_more_ends_no_work_and_says_so_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    beat = Heartbeat(path)
    beat.expect("drain", 60)
    path.with_name(path.name + ".new").mkdir()  # where the draft is to be
    for number in range(3):
        beat.expect("drain", 60)
        beat.degraded("camera", f"absent {number}")
        beat.done("deliver")
    assert [one.levelname for one in caplog.records] == ["WARNING"] and "cannot be written" in caplog.text
    assert beat.late() == [], "the watchdog asks the process, not the file"
    with pytest.raises(OSError):
        beat.write()
    path.with_name(path.name + ".new").rmdir()
    caplog.set_level("INFO")
    beat.degraded("camera", None)
    assert health(path) == (0, "healthy") and "is written again" in caplog.text
