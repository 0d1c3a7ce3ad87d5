"""What is read of the git-based version's services, and where its files go. With real systemd: tests/pi_host."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from visantctl.host import env_file, units
from visantctl.host.env_file import read_env_file
from visantctl.host.place import Place
from visantctl.migration import migrate, old_tree, old_units, record
from visantctl.migration.old_units import OldUnit

POLLING = """\
[Service]
User=pi
WorkingDirectory=/opt/visant
EnvironmentFile={env}
ExecStart=/opt/visant/venv/bin/python -m device.main \\
    --camera opencv \\
    --camera-source ${{CAMERA_SOURCE}} \\
    --api-url ${{API_URL}} --api-timeout ${{API_TIMEOUT}} \\
    --save-frames-dir "${{SAVE_FRAMES_DIR}}" \\
    --verbose
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "units").mkdir()
    (tmp_path / "visant").mkdir()
    return Place(tmp_path / "visant", tmp_path / "update.log", tmp_path / "units")


def settings(text: str, tmp_path: Path, env: str = "") -> dict[str, str]:
    (tmp_path / "env").write_text(env)
    return old_units.settings(text.format(env=tmp_path / "env"), Path("/opt/visant/debug_captures"))


def test_settings_come_from_the_environment_file_and_old_names_get_new_ones(tmp_path: Path) -> None:
    env = 'API_URL=https://c.example\nDEVICE_ID="A 1"\nCAMERA_SOURCE=1\nAPI_TIMEOUT=20\nCONFIG_POLL_INTERVAL=5.0\n'
    assert settings(POLLING, tmp_path, env) == {
        "API_URL": "https://c.example", "DEVICE_ID": "A 1", "CAMERA_SOURCE": "1", "UPLOAD_TIMEOUT": "20",
    }  # fmt: skip


def test_a_flag_wins_and_environment_lines_count(tmp_path: Path) -> None:
    text = (
        "[Service]\nEnvironmentFile=-{env}\nEnvironment=DEVICE_ID=B 'CAMERA_SOURCE=rtsp://u:p@h/s t'\n"
        "ExecStart=/x/python -m device.main_v2 --camera-resolution=1280x720 --stream-timeout 90 --api-url --verbose\n"
    )
    assert settings(text, tmp_path, "DEVICE_ID=A\nSTREAM_TIMEOUT=70\n") == {
        "DEVICE_ID": "B", "CAMERA_SOURCE": "rtsp://u:p@h/s t", "CAMERA_RESOLUTION": "1280x720", "STREAM_TIMEOUT": "90",
    }  # fmt: skip


def test_saved_frames_stay_in_their_folder(tmp_path: Path) -> None:
    text = "[Service]\nWorkingDirectory=/opt/visant\nEnvironmentFile={env}\n"
    usual = settings(text, tmp_path, "SAVE_FRAMES_DIR=debug_captures\n")
    assert usual == {"SAVE_FRAMES_DIR": "/opt/visant/debug_captures"}
    other = settings(text, tmp_path, "SAVE_FRAMES_DIR=/srv/frames\n")
    assert other == {"SAVE_FRAMES_DIR": "/opt/visant/debug_captures", "VISANT_DEBUG_CAPTURES": "/srv/frames"}


def test_a_missing_environment_file_and_an_open_quote_are_no_end(tmp_path: Path) -> None:
    assert old_units.settings("EnvironmentFile=/no/such\nExecStart=/x --device-id 'A\n", Path("/x")) == {
        "DEVICE_ID": "'A"
    }
    assert old_units.settings("", Path("/x")) == {}


def test_our_own_service_is_no_old_one(place: Place) -> None:
    unit = place.units / "visant-device-v2.service"
    unit.write_text("ExecStart=/usr/local/bin/visantctl run\n")
    (place.units / "visant-update.timer").write_text("OnCalendar=02:00\n")
    assert old_units.find(place.units) == []
    unit.write_text("ExecStart=/opt/visant/venv/bin/python\n")
    assert [one.name for one in old_units.find(place.units)] == [unit.name]


def test_none_of_our_units_is_taken_for_an_old_one(place: Place) -> None:
    """What is taken for an old one stays when a take-over is undone."""
    ours = Path(old_units.__file__).parents[2] / "systemd"
    for name in units.NAMES:
        shutil.copy(ours / name, place.units / name)
    assert [name for name in units.NAMES if old_units.is_old(place.units / name)] == []


def test_the_old_token_is_carried_over_and_not_again_beside_one_that_was_stored_since(place: Place) -> None:
    unit = "[Service]\nEnvironment=DEVICE_ID=A1 API_URL=https://c.example DEVICE_TOKEN=old-token\n"
    (place.units / "visant-device-v2.service").write_text(unit + "ExecStart=/opt/visant/venv/bin/python\n")
    place.prepare()
    device: Any = SimpleNamespace(place=place)
    assert migrate.prepare(device) is not None
    assert read_env_file(place.env_file)["DEVICE_TOKEN"] == "old-token"
    env_file.store_token(place, "new-token")
    assert migrate.prepare(device) is not None  # the same install command again, after whatever ended the first
    values = read_env_file(place.env_file)
    assert (values["DEVICE_TOKEN"], values["DEVICE_TOKEN_FILE"]) == ("", "/run/secrets/device_token")


def test_copies_are_whole_and_a_record_is_read_back(place: Place) -> None:
    (place.units / "visant-device.service").write_text("old\n")
    (place.units / "visant-device.service.d").mkdir()
    (place.units / "visant-device.service.d/x.conf").write_text("drop-in\n")
    place.env_file.write_text("A=1\n")
    place.prepare()
    made = record.keep(
        place, [OldUnit("visant-device.service", enabled=True, active=False)], place.root / "debug_captures"
    )
    assert record.read(place) == made
    assert made.open
    kept = record.copies(place)
    assert (kept / "visant-device.service.d/x.conf").read_text() == "drop-in\n"
    assert (kept / "env.device").read_text() == "A=1\n"
    assert not made.advance(place, "back", reason="no stream").open
    (place.state / "take_over.json").write_text("{half")
    assert record.read(place) is None


def test_the_old_checkout_is_put_aside_and_comes_back_whole(place: Place) -> None:
    for name in (".git/HEAD", "venv/bin/python", "deployment/x.sh", "README.md", ".env.device", "debug_captures/1.jpg"):
        (place.root / name).parent.mkdir(parents=True, exist_ok=True)
        (place.root / name).write_text(name)
    (place.root / "current").symlink_to("releases/2.0.0")
    before = sorted(str(one.relative_to(place.root)) for one in place.root.rglob("*"))
    old_tree.put_aside(place)
    left = {one.name for one in place.root.iterdir()}
    assert left == {".env.device", "current", "debug_captures", "deployment", "old"}
    assert (place.root / "deployment").is_symlink()
    old_tree.put_aside(place)  # twice
    old_tree.put_back(place)
    assert sorted(str(one.relative_to(place.root)) for one in place.root.rglob("*")) == before
    assert (place.root / "deployment/x.sh").read_text() == "deployment/x.sh"


def test_dropped_settings_stay_as_comments(place: Place) -> None:
    place.env_file.write_text("A=1\nCONFIG_POLL_INTERVAL=5.0\n export API_TIMEOUT=3\n#CAMERA_BACKEND=x\n")
    env_file.comment_out(place, old_units.DROPPED, "old")
    assert place.env_file.read_text().splitlines() == [
        "A=1", "# CONFIG_POLL_INTERVAL=5.0  (old)", "#  export API_TIMEOUT=3  (old)", "#CAMERA_BACKEND=x",
    ]  # fmt: skip
    assert env_file.names(place) == ["A"]
