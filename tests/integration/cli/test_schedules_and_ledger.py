"""`visant schedule`, `triggers` and `slots`: what is due, what came, and what is written down of it."""

import csv
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Visant
from visant_cli.failure import ExitStatus

pytestmark = pytest.mark.usefixtures("cameras")


def test_a_schedule_is_previewed_made_attached_and_rests(visant: Visant) -> None:
    rule = ("--cron", "30 2 * * *", "--zone", "Europe/Berlin", "--pause", "2026-12-24..2027-01-01")
    seen = visant("schedule", "add", "night", *rule, "--dry-run", "--json")
    assert len(seen.json) == 5, seen.err
    assert visant("schedule", "ls", "--json").json == []
    made = visant("schedule", "add", "night", *rule, "--device", "CAM1")
    assert made.status == ExitStatus.DONE
    assert "for 1 devices" in made.out
    assert visant("schedule", "add", "night", *rule).status == ExitStatus.CONFLICT
    assert visant("schedule", "attach", "night", "--device", "CAM2").out.startswith("night has 2 devices")
    assert visant("schedule", "detach", "night", "--device", "CAM2").out.startswith("night has 1 devices")
    assert [one["name"] for one in visant("schedule", "next", "--device", "CAM1", "--json").json] == ["night"]
    assert len(visant("schedule", "next", "night", "-n", 3, "--json").json) == 3
    assert "for devices\tCAM1" in visant("schedule", "show", "night").out
    assert visant("schedule", "pause", "night").out == "night rests\n"
    assert visant("schedule", "next", "night", "--json").json == []
    assert "next 20" in visant("schedule", "resume", "night").out
    assert visant("schedule", "rm", "night").status == ExitStatus.USAGE
    assert visant("schedule", "rm", "night", "--yes").status == ExitStatus.DONE
    assert visant("schedule", "show", "night").status == ExitStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--every 15m, or --cron"),
        (("--every", "15m", "--cron", "0 8 * * *"), "one of them"),
        (("--every", "soon"), "--every: 'soon' is no length of time"),
        (("--every", "1h", "--days", "someday"), "--days: 'someday': write e.g. mon-fri"),
        (("--every", "1h", "--window", "8-18"), "--window: '8-18': write e.g. 08:00-18:30"),
        (("--every", "1h", "--pause", "christmas"), "--pause: 'christmas': write e.g. 2026-12-24"),
        (("--every", "1h", "--daylight", "Berlin"), "--daylight: 'Berlin': write latitude,longitude"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_option_and_an_example(
    visant: Visant, words: tuple[str, ...], said: str
) -> None:
    wrong = visant("schedule", "add", "x", *words)
    assert wrong.status == ExitStatus.USAGE
    assert said in wrong.err


def test_the_ledger_of_a_device_is_listed(visant: Visant) -> None:
    visant("trigger", "CAM2", "--wait")
    rows = visant("triggers", "ls", "--device", "CAM2", "--status", "failed", "-n", 1, "--json").json
    assert [(row["status"], row["reason"]) for row in rows] == [("failed", "camera_absent")]
    shown = visant("triggers", "show", "CAM2", rows[0]["trigger_id"])
    assert "what to do\tPlug the camera in" in shown.out


def test_the_ledger_over_all_devices_is_filtered_and_exported(visant: Visant, tmp_path: Path) -> None:
    visant("trigger", "CAM1", "CAM2", "--wait")
    rows = visant("triggers", "ls", "--reason", "camera_absent", "--since", "1h", "--json").json
    assert {row["device_id"] for row in rows} == {"CAM2"}
    both = visant("triggers", "ls", "-d", "CAM1", "-d", "CAM2", "--json").json
    assert {row["device_id"] for row in both} == {"CAM1", "CAM2"}
    file = tmp_path / "ledger.csv"
    assert visant("triggers", "export", "-o", file, "--since", "1h").status == ExitStatus.DONE
    with open(file, newline="", encoding="utf-8-sig") as opened:
        assert {row["device_id"] for row in csv.DictReader(opened)} >= {"CAM1", "CAM2"}
    assert {row["status"] for row in visant("triggers", "export", "--json", "--device", "CAM2").lines} == {"failed"}
    assert visant("triggers", "ls", "--device", "NOBODY", "--since", "1h").status == ExitStatus.NOT_FOUND


def test_slots_are_listed_and_summed_up(visant: Visant) -> None:
    assert visant("slots", "ls", "--json").status == ExitStatus.DONE
    summary = visant("slots", "summary", "--by", "device", "--json")
    assert summary.status == ExitStatus.DONE, summary.err
    assert summary.json["due"] >= 0
    assert "useful" in visant("slots", "summary").out
