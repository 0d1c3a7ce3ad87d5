"""What visantctl wrote of the host is believed as far as it is small, whole, root's and young."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from visant_contract.telemetry import HostFacts
from visant_uploader.host_facts import GOOD_FOR, MAX_BYTES, HostFactsFile

FACTS = {"engine": "28.5.1", "card": {"life_used_percent": 20, "errors": 0}, "radios": {"wlan0": {"dbm": -61.0}}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "facts.json"


def write(file: Path, **changed: Any) -> None:
    file.write_text(json.dumps({"boot_id": "boot-1", "boottime": 1000.0, "facts": FACTS, **changed}))


def test_what_is_there_is_told_with_its_age(make: Any, file: Path) -> None:
    reader = HostFactsFile(file)
    assert reader.read(make.moment(1000.0)) is None, "none yet"
    write(file)
    found = reader.read(make.moment(1030.0))
    assert found is not None
    assert found.model_dump(exclude_none=True, exclude_defaults=True) == {**FACTS, "age": 30.0}
    assert HostFactsFile(None).read(make.moment()) is None


def test_what_is_too_old_is_told_by_its_age_alone(make: Any, file: Path) -> None:
    write(file)
    at_the_last = HostFactsFile(file).read(make.moment(1000.0 + GOOD_FOR))
    assert at_the_last is not None and at_the_last.engine == "28.5.1"
    assert HostFactsFile(file).read(make.moment(1001.0 + GOOD_FOR)) == HostFacts(age=GOOD_FOR + 1)


def test_a_wrong_wall_clock_changes_nothing(make: Any, file: Path) -> None:
    write(file)
    moment = make.moment(1030.0, wall=make.noon.replace(year=1970), synchronised=False)
    found = HostFactsFile(file).read(moment)
    assert found is not None and found.age == 30.0


def test_numbers_that_mean_nothing_become_absent_and_the_rest_stays(make: Any, file: Path) -> None:
    write(file, facts={**FACTS, "card": {"errors": 10**400, "bytes_a_day": float("nan"), "pre_eol": 1}})
    found = HostFactsFile(file).read(make.moment(1000.0))
    assert found is not None and found.card is not None
    assert (found.card.errors, found.card.bytes_a_day, found.card.pre_eol) == (None, None, 1)


@pytest.mark.parametrize(
    "changed",
    [
        {"boot_id": "boot-0"},
        {"boottime": 2000.0},
        {"boottime": float("nan")},
        {"boottime": "early"},
        {"facts": []},
        {"facts": {"engine": "x" * 200}},
        {"facts": {"card": {"errors": "many"}}},
        {"facts": {"security_updates": {"pending": 1, "since": "yesterday"}}},
        {"facts": {"restarts": {f"s{number}": 1 for number in range(100)}}},
        {"more": "x" * MAX_BYTES},
    ],
)
def test_what_cannot_be_right_is_told_in_one_line_and_not_used(make: Any, file: Path, changed: dict[str, Any]) -> None:
    write(file, **changed)
    reader = HostFactsFile(file)
    with capture_logs() as lines:
        assert [reader.read(make.moment(1000.0)) for _ in range(3)] == [None, None, None]
    assert len(lines) == 1 and str(file) == lines[0]["file"] and lines[0]["detail"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"boot_id": "boot-1", "boottime": 1000.0, "fac', b"\xff\xfe", b"[" * 9999]
)
def test_a_half_written_or_damaged_file_is_not_used(make: Any, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert HostFactsFile(file).read(make.moment(1000.0)) is None


def test_a_link_a_pipe_and_a_folder_are_no_file(make: Any, file: Path, tmp_path: Path) -> None:
    write(tmp_path / "real.json")
    file.symlink_to(tmp_path / "real.json")
    assert HostFactsFile(file).read(make.moment(1000.0)) is None
    file.unlink()
    os.mkfifo(file)
    assert HostFactsFile(file).read(make.moment(1000.0)) is None, "and nobody waits for its writer"
    file.unlink()
    file.mkdir()
    assert HostFactsFile(file).read(make.moment(1000.0)) is None


def test_a_file_of_another_user_is_not_used(make: Any, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file)
    real = os.fstat(os.open(file, os.O_RDONLY))
    monkeypatch.setattr(os, "fstat", lambda _: os.stat_result((*real[:4], 4242, *real[5:])))
    with capture_logs() as lines:
        assert HostFactsFile(file).read(make.moment(1000.0)) is None
    assert "user 4242" in lines[0]["detail"]
