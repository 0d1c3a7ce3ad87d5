"""`visant-uploader spool`, as a technician uses it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import visant_uploader
from tests.unit.uploader.conftest import Make
from visant_contract.outcome import Reason
from visant_uploader.spool.admin.command import spool_command
from visant_uploader.spool.file_format import encode
from visant_uploader.spool.known_cloud import FILE_NAME, KnownCloud, recall, remember
from visant_uploader.spool.layout import Destination
from visant_uploader.spool.store import Spool

HERE = Destination("cloud-1", "FLOOR1")


@pytest.fixture
def spool(make: type[Make], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """Held by a running uploader, as it were; one picture waits, one is refused, one is another cloud's."""
    one = make.spool(tmp_path / "spool")
    one.open()
    monkeypatch.setenv("SPOOL_DIR", str(one.folders.root))
    monkeypatch.setenv("DEVICE_ID", "FLOOR1")
    monkeypatch.setenv("API_URL", "http://cloud/")
    monkeypatch.setenv("HEARTBEAT_FILE", str(tmp_path / "heartbeat"))
    remember(one.folders.root / FILE_NAME, "http://cloud", KnownCloud("cloud-1", False))
    for trigger in ("t-waits", "t-refused"):
        one.release(HERE, one.put(make.picture(trigger), b"\xff\xd8 jpeg \xff\xd9"))
    refused = make.picture("t-refused").file_name()
    one.refuse(HERE, refused, make.report("t-refused", Reason.REJECTED_413))
    other = make.picture("t-held", cloud_id="cloud-0")
    one.release(Destination("cloud-0", "FLOOR1"), one.put(other, b"\xff\xd8 old \xff\xd9"))
    return one


def test_ls_lists_every_outcome_with_its_state_and_the_sums(spool: Spool, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool_command(["ls"]) == 0
    said = capsys.readouterr().out
    states = {line.split()[-1 if ":" not in line else 6]: line.split()[1] for line in said.splitlines()[1:5]}
    assert set(states.values()) == {"waiting", "dead-letter", "held"}
    assert "rejected_413" in said and "days left at the current rate: unknown" in said
    assert "1 pictures and 1 reports wait" in said and "1 held, 1 refused, 0 damaged" in said


def test_ls_as_json_is_one_object_a_line(spool: Spool, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "heartbeat").write_text(json.dumps({"facts": {"bytes_a_day": 432e6}}))
    assert spool_command(["ls", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(one["state"] for one in lines[:-1]) == ["dead-letter", "held", "waiting", "waiting"]
    assert lines[-1]["spool"]["days_left"] > 10


def test_show_tells_all_of_one_outcome(spool: Spool, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool_command(["show", "t-waits"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["header"]["trigger_id"] == "t-waits" and shown["state"] == "waiting"


def test_what_is_not_there_is_said_in_one_line(spool: Spool, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool_command(["show", "nothing"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("[ERROR] nothing here is called 'nothing'") and said.count("\n") == 1


def test_a_refused_picture_is_put_back_beside_a_running_uploader(
    spool: Spool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spool_command(["requeue", "t-refused"]) == 0
    assert spool.collect_incoming() == [(HERE, spool.find("cloud-1", "FLOOR1", "t-refused"))]
    assert spool.figures.contents().pictures[spool.folders.dead_letter] == 0


def test_a_held_picture_needs_here_and_then_belongs_to_this_cloud(
    spool: Spool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spool_command(["requeue", "t-held"]) == 1
    assert "--here" in capsys.readouterr().err
    assert spool_command(["requeue", "t-held", "--here"]) == 0
    (taken,) = spool.collect_incoming()
    assert taken[0] == HERE
    assert spool_command(["ls"]) == 0
    assert "0 held" in capsys.readouterr().out


def test_a_v1_at_the_end_of_the_address_does_no_harm(
    spool: Spool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_URL", "http://cloud/v1/")
    assert spool_command(["ls"]) == 0
    assert "1 held" in capsys.readouterr().out
    assert spool_command(["requeue", "all", "--here"]) == 0


def test_a_damaged_file_holds_up_no_other(make: type[Make], spool: Spool, capsys: pytest.CaptureFixture[str]) -> None:
    place = spool.folders.outbox / Destination("cloud-0", "FLOOR1").place
    (place / ("0" * 64 + ".picture")).write_bytes(b"rubbish")
    assert spool_command(["requeue", "all", "--here"]) == 1
    said = capsys.readouterr()
    assert "2 put back" in said.out and "1 not" in said.out
    assert said.err.startswith("[WARNING] 000000000000 is damaged") and said.err.count("\n") == 1
    assert len(spool.collect_incoming()) == 2


def test_what_is_on_its_way_is_not_put_back(spool: Spool, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool_command(["requeue", "t-waits"]) == 1
    assert "on its way" in capsys.readouterr().err


def test_a_damaged_file_is_not_put_back(make: type[Make], spool: Spool, capsys: pytest.CaptureFixture[str]) -> None:
    name = make.picture("t-damaged").file_name()
    spool.release(HERE, spool.put(make.picture("t-damaged"), b"jpeg"))
    spool.quarantine(HERE, name, make.report("t-damaged", Reason.SPOOL_CORRUPT))
    (spool.folders.quarantine / name).write_bytes(b"rubbish")
    assert spool_command(["requeue", name[:20]]) == 1
    assert "damaged" in capsys.readouterr().err


def test_the_spool_of_a_dead_device_is_taken_over(
    make: type[Make], spool: Spool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = make.spool(tmp_path / "dead-card")
    dead.open()
    dead.release(HERE, dead.put(make.picture("t-dead"), b"jpeg"))
    dead.put(make.report("t-dead-2"))
    foreign = Destination("cloud-1", "FLOOR2")
    dead.release(foreign, dead.put(make.picture("t-foreign", device_id="FLOOR2"), b"jpeg"))
    (dead.folders.outbox / HERE.place / "0000.picture").write_bytes(b"rubbish")
    assert spool_command(["import", str(dead.folders.root)]) == 1
    said = capsys.readouterr()
    assert "2 taken over, 2 not" in said.out and "FLOOR2" in said.err and "--here" in said.err
    assert len(spool.collect_incoming()) == 2
    assert spool.find("cloud-1", "FLOOR1", "t-dead") and spool.find("cloud-1", "FLOOR1", "t-dead-2")
    assert len(dead.outbox(HERE)) == 2  # the card keeps what it has
    assert spool_command(["import", str(dead.folders.root), "--here"]) == 1
    assert "3 taken over, 1 not" in capsys.readouterr().out


def test_an_import_that_finds_nothing_or_may_not_read_says_so(
    spool: Spool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "card" / "outbox").mkdir(parents=True)
    assert spool_command(["import", str(tmp_path / "card")]) == 1
    assert "holds no outcome" in capsys.readouterr().err
    walk = os.walk

    def locked(root: Path, onerror: Callable[[OSError], object]) -> Any:
        onerror(PermissionError(13, "Permission denied", str(root / "outbox")))
        return walk(root / "nothing")

    monkeypatch.setattr(os, "walk", locked)
    assert spool_command(["import", str(tmp_path / "card")]) == 1
    assert "card/outbox: Permission denied" in capsys.readouterr().err


def test_an_import_keeps_to_the_limits_and_goes_on_later(
    make: type[Make], spool: Spool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = make.spool(tmp_path / "dead-card")
    dead.open()
    for number in range(4):
        dead.release(HERE, dead.put(make.picture(f"t-dead-{number}"), bytes(500_000)))
    monkeypatch.setenv("SPOOL_MAX_BYTES", str(1 << 20))
    monkeypatch.setenv("SPOOL_MIN_FREE_BYTES", "0")
    assert spool_command(["import", str(dead.folders.root)]) == 1
    said = capsys.readouterr()
    assert "2 taken over, 1 not" in said.out and "no room" in said.err
    monkeypatch.setenv("SPOOL_MAX_BYTES", str(1 << 24))
    assert spool_command(["import", str(dead.folders.root)]) == 0
    assert "4 taken over" in capsys.readouterr().out
    assert len(spool.collect_incoming()) == 4


def test_a_damaged_file_of_a_dead_card_is_named_with_its_trigger(
    make: type[Make], spool: Spool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = tmp_path / "card"
    card.mkdir()
    whole = b"".join(encode(make.picture("t-half"), bytes(5000))[1])
    (card / "half.picture").write_bytes(whole[:3000])
    (card / "empty.picture").write_bytes(b"")
    assert spool_command(["import", str(card)]) == 1
    said = capsys.readouterr().err
    assert "half.picture: damaged" in said and "t-half" in said and "empty.picture" in said


def test_a_file_that_the_uploader_may_not_read_holds_up_no_other(
    make: type[Make], spool: Spool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert spool_command(["export", str(tmp_path / "stick")]) == 0
    assert spool_command(["import", str(tmp_path / "stick")]) == 0
    first = min(spool.folders.incoming.glob("*.picture")).name
    read = Path.read_bytes

    def not_that_one(path: Path) -> bytes:
        if path.name == first:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", not_that_one)
    assert len(spool.collect_incoming()) == 3
    with pytest.raises(PermissionError):
        spool.collect_incoming()
    monkeypatch.undo()
    assert len(spool.collect_incoming()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gives files to another user")
def test_what_root_imports_belongs_to_the_uploader(spool: Spool, tmp_path: Path) -> None:
    assert spool_command(["export", str(tmp_path / "stick")]) == 0
    os.chown(spool.folders.incoming, 65534, 65534)
    assert spool_command(["import", str(tmp_path / "stick")]) == 0
    assert {path.stat().st_uid for path in spool.folders.incoming.iterdir()} == {65534}


def test_a_reader_that_has_seen_enough_is_no_error(spool: Spool) -> None:
    command = f"{sys.executable} -m visant_uploader spool ls --json"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} | true"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_export_into_the_spool_itself_is_refused(spool: Spool, capsys: pytest.CaptureFixture[str]) -> None:
    assert spool_command(["export", str(spool.folders.outbox / "copy")]) == 1
    assert "spool itself" in capsys.readouterr().err
    assert not (spool.folders.outbox / "copy").exists()


def test_an_export_can_be_imported_or_looked_at(
    spool: Spool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spool_command(["export", str(tmp_path / "stick")]) == 0
    assert "4 copied" in capsys.readouterr().out
    assert spool_command(["import", str(tmp_path / "stick")]) == 0
    assert spool_command(["export", "--jpeg", str(tmp_path / "pictures")]) == 0
    jpegs = list((tmp_path / "pictures").glob("*.jpg"))
    assert len(jpegs) == 3 and all(path.read_bytes().startswith(b"\xff\xd8") for path in jpegs)


def test_a_folder_that_is_no_spool_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPOOL_DIR", str(tmp_path / "nowhere"))
    assert spool_command(["ls"]) == 1
    assert "SPOOL_DIR" in capsys.readouterr().err
    assert spool_command(["frobnicate"]) == 2


def test_the_cloud_is_remembered_for_its_own_url_only(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    assert recall(file, "http://a") is None
    remember(file, "http://a", KnownCloud("c", True))
    assert recall(file, "http://a") == KnownCloud("c", True)
    assert recall(file, "http://b") is None
    file.write_text("{")
    assert recall(file, "http://a") is None


def test_nothing_on_the_road_of_a_trigger_needs_the_technicians_commands() -> None:
    package = Path(visant_uploader.__file__).parent
    needing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "visant_uploader.spool.admin" in path.read_text()
    }
    assert {name for name in needing if not name.startswith("spool/admin/")} == {"__main__.py"}
