"""`visant` against a real cloud: what people type, what they get, and the exit status that a script gets."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Place, Visant
from visant_cli import download, watch
from visant_cli.failure import ExitStatus

pytestmark = pytest.mark.usefixtures("cameras")


def test_devices_are_listed_for_people_for_pipes_and_for_programs(visant: Visant) -> None:
    piped = visant("devices", "ls")
    assert piped.status == ExitStatus.DONE
    rows = [line.split("\t") for line in piped.out.splitlines()]
    assert {row[0]: row[1] for row in rows}.items() >= {"CAM1": "connected", "CAM2": "connected"}.items()
    assert {row["device_id"] for row in visant("devices", "ls", "--json").json} >= {"CAM1", "CAM2"}
    visant("devices", "add", "NEW")
    never = {row["device_id"] for row in visant("devices", "ls", "--state", "never_seen", "--json").json}
    assert "NEW" in never and not never & {"CAM1", "CAM2"}
    assert "CAM1" in visant("devices", "show", "CAM1").out
    assert visant("devices", "show", "CAM1", "--json").json["device_id"] == "CAM1"


def test_a_trigger_that_is_waited_for_ends_as_its_picture_does(visant: Visant, tmp_path: Path) -> None:
    taken = visant("trigger", "CAM1", "--output", tmp_path / "now", "--json")
    assert taken.status == ExitStatus.DONE
    [row] = taken.lines
    assert row["status"] == "executed"
    assert Path(row["file"]).read_bytes().startswith(b"\xff\xd8")

    failed = visant("trigger", "CAM2", "--wait")
    assert failed.status == ExitStatus.ENDED_BADLY
    assert failed.out.split("\t")[2:4] == ["failed", "camera_absent"]
    assert "no /dev/video0" in failed.err
    assert "Plug the camera in" in failed.err

    both = visant("trigger", "CAM1", "CAM2", "--wait", "--json")
    assert both.status == ExitStatus.ENDED_BADLY
    assert {row["device_id"]: row["status"] for row in both.lines} == {"CAM1": "executed", "CAM2": "failed"}
    assert "1 of 2 triggers ended without a picture" in both.err


def test_the_same_idempotency_key_gives_the_same_trigger(visant: Visant) -> None:
    first, second = (visant("trigger", "CAM1", "--idempotency-key", "tonight", "--json").lines[0] for _ in range(2))
    assert first["trigger_id"] == second["trigger_id"]


def test_a_wait_that_is_too_short_says_where_to_look(visant: Visant) -> None:
    visant("devices", "add", "AWAY")
    late = visant("trigger", "AWAY", "--wait-for", "1s")
    assert late.status == ExitStatus.STILL_GOING
    assert "AWAY is not connected" in late.err
    [told] = [line for line in late.err.splitlines() if line.startswith("visant: ")]
    words = told.partition("visant triggers show ")[2].split()
    assert visant("triggers", "show", *words, "--json").json["status"] == "pending"


def test_ctrl_c_says_what_goes_on(visant: Visant, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    visant("devices", "add", "AWAY")
    visant("trigger", "CAM1", "--wait")
    monkeypatch.setattr(watch, "until_ended", stop)
    stopped = visant("trigger", "AWAY", "--wait")
    assert stopped.status == ExitStatus.INTERRUPTED
    told = stopped.err.partition("1 of 1 triggers go on without you: visant triggers show ")[2].split()
    assert told[0] == "AWAY"
    assert visant("triggers", "show", *told).status == ExitStatus.DONE
    monkeypatch.setattr(download, "fetch", stop)
    halted = visant("pictures", "get", "--all", "-o", "nowhere")
    assert halted.status == ExitStatus.INTERRUPTED
    assert "0 pictures are whole in nowhere; the same command goes on from there" in halted.err


def test_pictures_are_fetched_once_whole_and_the_next_run_goes_on(visant: Visant, tmp_path: Path) -> None:
    for _ in range(3):
        assert visant("trigger", "CAM1", "--wait").status == ExitStatus.DONE
    records = {row["record_id"]: row for row in visant("pictures", "ls", "--device", "CAM1", "--json").json}
    folder = tmp_path / "pictures"
    got = visant("pictures", "get", "--since", "1h", "--device", "CAM1", "-o", folder, "--json")
    assert got.status == ExitStatus.DONE
    assert {row["record_id"] for row in got.lines} >= set(records)
    assert all(row["new"] for row in got.lines)
    for row in got.lines:
        assert hashlib.sha256(Path(row["file"]).read_bytes()).hexdigest() == row["sha256"]

    cut, half = Path(got.lines[0]["file"]), Path(got.lines[1]["file"])
    cut.write_bytes(cut.read_bytes()[:100])
    half.unlink()
    half.with_name(f"{half.name}.part").write_bytes(b"of a run that was killed")
    again = visant("pictures", "get", "--since", "1h", "--device", "CAM1", "-o", folder, "--json")
    assert again.status == ExitStatus.DONE
    assert {row["file"] for row in again.lines if row["new"]} == {str(cut), str(half)}
    assert not list(folder.rglob("*.part"))
    assert f"{len(got.lines)} were there" in visant("pictures", "get", "--all", "-o", folder).out


def test_pictures_of_another_time_are_none(visant: Visant, tmp_path: Path) -> None:
    visant("trigger", "CAM1", "--wait")
    none = visant("pictures", "get", "--since", "2 days", "--until", "1 day", "-o", tmp_path / "none")
    assert (none.status, none.out) == (ExitStatus.DONE, "no picture fits\n")
    wrong = visant("pictures", "get", "--since", "1 day", "--until", "2 days")
    assert wrong.status == ExitStatus.USAGE
    assert "nothing can fit" in wrong.err
    assert "--since 2d, --limit 100, or --all" in visant("pictures", "get").err


def test_a_full_disk_is_said_once_and_the_rest_is_kept(
    visant: Visant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    visant("trigger", "CAM1", "--wait")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    full_disk = visant("pictures", "get", "--all", "-o", tmp_path / "full")
    assert full_disk.status == ExitStatus.LOCAL
    assert full_disk.err.count("the disk is full") == 1
    assert not list((tmp_path / "full").rglob("*.*"))


def test_a_schedule_is_set_read_and_ended(visant: Visant) -> None:
    visant("devices", "add", "TIMED")
    assert "every 2 h" in visant("schedule", "set", "2h", "TIMED").out
    assert [row["interval_seconds"] for row in visant("schedule", "own", "--json").json] == [7200]
    assert visant("schedule", "next", "--device", "TIMED", "--json").json[0]["text"] == "every 2 h"
    assert visant("schedule", "set", "off", "TIMED").status == ExitStatus.DONE
    assert visant("schedule", "next", "--device", "TIMED").status == ExitStatus.NOT_FOUND
    assert visant("schedule", "next").status == ExitStatus.USAGE
    wrong = visant("schedule", "set", "often", "TIMED")
    assert wrong.status == ExitStatus.USAGE
    assert "'often' is no length of time: write e.g. 90s" in wrong.err


def test_settings_are_changed_one_by_one_and_the_devices_word_is_the_exit_status(visant: Visant) -> None:
    assert visant("config", "set", "CAM1", "brightness=10", "mode=night", "--wait").status == ExitStatus.DONE
    assert visant("config", "set", "CAM1", "brightness=", "contrast=1.5", "--wait").status == ExitStatus.DONE
    assert visant("config", "show", "CAM1", "--json").json == {"mode": "night", "contrast": 1.5}
    refused = visant("config", "set", "CAM1", "exposure=9999", "--wait")
    assert refused.status == ExitStatus.ENDED_BADLY
    assert "exposure: 1 to 5000" in refused.err
    differs = visant("config", "diff", "CAM1", "CAM2", "--json")
    assert differs.status == ExitStatus.ENDED_BADLY
    assert {row["name"] for row in differs.json} == {"mode", "contrast", "exposure"}


def test_an_update_is_asked_for_beside_the_other_settings(visant: Visant) -> None:
    visant("devices", "add", "PINNED")
    visant("config", "set", "PINNED", "gain=2")
    assert visant("update", "pin", "PINNED", "2.0.1").status == ExitStatus.DONE
    assert visant("config", "show", "PINNED", "--json").json == {"gain": 2, "update": {"pin": "2.0.1"}}
    asked = {row.split("\t")[0]: row.split("\t")[3] for row in visant("update", "ls").out.splitlines()}
    assert asked["PINNED"] == '{"pin": "2.0.1"}'
    assert visant("update", "pin", "PINNED", "newest").status == ExitStatus.USAGE


def test_channels_tell_whether_a_test_arrived(visant: Visant) -> None:
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200 if self.path == "/ok" else 410)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as hook:
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        try:
            base = f"http://127.0.0.1:{hook.server_address[1]}"
            good = visant("channels", "add", "webhook", "good", f"{base}/ok", "--json").json
            assert good["secret"]
            assert visant("channels", "test", good["channel_id"]).status == ExitStatus.DONE
            visant("channels", "add", "webhook", "bad", f"{base}/gone")
            tested = visant("alerts", "test")
            assert tested.status == ExitStatus.ENDED_BADLY
            assert "not arrived: bad" in tested.err
            assert "410" in visant("channels", "ls").out
        finally:
            hook.shutdown()
    assert "Nobody is here to ask: say --yes" in visant("channels", "rm", good["channel_id"]).err
    assert visant("channels", "rm", good["channel_id"], "--yes").status == ExitStatus.DONE


def test_an_alert_is_listed_shown_acknowledged_and_silenced(visant: Visant) -> None:
    for _ in range(3):
        visant("trigger", "CAM2", "--wait")
    until = time.monotonic() + 120
    while not (rows := visant("alerts", "ls", "--kind", "failures", "--device", "CAM2", "--json").json):
        assert time.monotonic() < until
        time.sleep(0.5)
    number = rows[0]["alert_id"]
    assert visant("alerts", "ack", number, "--note", "on my way").status == ExitStatus.DONE
    assert "tests of visant" in visant("alerts", "ls").out
    assert "on my way" in visant("alerts", "show", number).out
    assert visant("alerts", "ack", 4711).status == ExitStatus.NOT_FOUND
    assert visant("alerts", "silence", "2h").status == ExitStatus.USAGE
    silence = visant("alerts", "silence", "2h", "--device", "CAM2", "--note", "it is known", "--json").json
    assert [row["note"] for row in visant("alerts", "silences", "--json").json] == ["it is known"]
    assert visant("alerts", "unsilence", silence["silence_id"]).status == ExitStatus.DONE
    assert "camera" in visant("alerts", "kinds").out


def test_what_the_cloud_refuses_is_one_line_with_its_remedy(
    visant: Visant, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = visant("devices", "show", "NOBODY")
    assert (unknown.status, unknown.out) == (ExitStatus.NOT_FOUND, "")
    assert unknown.err.startswith("visant: Device 'NOBODY' is unknown: create it first")
    assert unknown.err.count("\n") == 1
    assert visant("devices", "add", "CAM1").status == ExitStatus.CONFLICT
    assert visant("devices", "add", "no/id").status == ExitStatus.USAGE
    monkeypatch.setenv("VISANT_TOKEN", "of-nobody")
    stranger = visant("devices", "ls")
    assert stranger.status == ExitStatus.NOT_ALLOWED
    assert "this token is not valid there: visant login" in stranger.err
    assert "of-nobody" not in stranger.err


def test_a_login_is_tried_kept_for_its_owner_alone_and_forgotten(
    visant: Visant, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VISANT_TOKEN", "VISANT_URL"):
        monkeypatch.delenv(name)
    token = tmp_path / "token"
    token.write_text("wrong\n")
    token.chmod(0o600)
    assert visant("login", place.url, "--token-file", token).status == ExitStatus.NOT_ALLOWED
    assert "no cloud is named" in visant("devices", "ls").err
    token.write_text(f"{place.token}\n")
    assert visant("login", place.url, "--token-file", token).status == ExitStatus.DONE
    kept = tmp_path / "visant/profiles.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert json.loads(kept.read_text())["profiles"]["default"]["token"] == place.token
    assert visant("devices", "ls").status == ExitStatus.DONE
    assert visant("status", "--json").json["profile"] == "default"
    kept.chmod(0o644)
    assert f"chmod 600 {kept}" in visant("devices", "ls").err
    kept.chmod(0o600)
    assert visant("logout").status == ExitStatus.DONE
    assert place.token not in kept.read_text()


def test_the_programs_own_start_pipe_and_environment(place: Place, tmp_path: Path) -> None:
    """As a process: what the others leave out."""
    program = Path(sys.executable).with_name("visant")
    environment = {
        "PATH": os.environ["PATH"],
        "VISANT_URL": place.url,
        "VISANT_TOKEN": place.token,
        "VISANT_CONFIG": str(tmp_path / "none.json"),
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    }
    listed = subprocess.run([program, "devices", "ls"], env=environment, capture_output=True, text=True, timeout=120)
    assert listed.returncode == 0, listed.stderr
    assert "CAM1\tconnected" in listed.stdout
    assert "\x1b" not in listed.stdout + listed.stderr
    wrong = subprocess.run([program, "device", "ls"], env=environment, capture_output=True, text=True, timeout=120)
    assert (wrong.returncode, wrong.stdout) == (ExitStatus.USAGE, "")
    assert "No such command 'device'. Did you mean 'devices'?" in wrong.stderr
    with open("/dev/full", "w") as full:
        filled = subprocess.run(
            [program, "devices", "ls"], env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120
        )
    assert filled.returncode == ExitStatus.LOCAL
    assert "No space left on device" in filled.stderr
