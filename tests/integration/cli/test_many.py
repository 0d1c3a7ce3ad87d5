"""`visant` for many devices: filters, groups and tags, one command for all of them, and the job that does it."""

from pathlib import Path

import pytest

from tests.integration.cli.conftest import Visant
from visant_cli.chosen import filter_of
from visant_cli.failure import ExitStatus

pytestmark = pytest.mark.usefixtures("cameras")


@pytest.fixture
def hall(visant: Visant) -> list[str]:
    """Three devices in the group `hall "A"`, one of them with the tag door: CAM1, CAM2 and one that never came."""
    visant("devices", "add", "HALL3")
    if 'hall "A"' not in {row["name"] for row in visant("groups", "ls", "--json").json}:
        assert visant("groups", "add", 'hall "A"').status == ExitStatus.DONE
    ids = ["CAM1", "CAM2", "HALL3"]
    assert visant("devices", "group", *ids, "--add", 'hall "A"').status == ExitStatus.DONE
    assert visant("devices", "tag", "HALL3", "--add", "door").status == ExitStatus.DONE
    return ids


def test_devices_are_chosen_by_group_tag_and_filter(visant: Visant, hall: list[str]) -> None:
    def ids(*words: str) -> set[str]:
        return {row["device_id"] for row in visant("devices", "ls", *words, "--json").json}

    assert ids("--group", 'hall "A"') == set(hall)
    assert ids("--group", 'hall "A"', "--tag", "door") == {"HALL3"}
    assert ids("--group", 'hall "A"', "-f", "-tag:door state:connected") == {"CAM1", "CAM2"}
    assert "door\t1" in visant("devices", "tags").out
    wrong = visant("devices", "ls", "-f", "colour:red")
    assert (wrong.status, wrong.out) == (ExitStatus.USAGE, "")
    assert visant("devices", "ls", "--group", "nobody").err


def test_a_group_is_triggered_waited_for_and_accounted_for(visant: Visant, hall: list[str], tmp_path: Path) -> None:
    seen = visant("trigger", "--group", 'hall "A"', "--dry-run", "--json").json
    assert (seen["total"], sorted(seen["devices"])) == (3, hall)
    fired = visant("trigger", "--group", 'hall "A"', "-f", "-tag:door", "--wait", "-o", tmp_path, "--json")
    assert fired.status == ExitStatus.ENDED_BADLY
    assert {row["device_id"]: row["status"] for row in fired.lines} == {"CAM1": "executed", "CAM2": "failed"}
    assert len(list(tmp_path.rglob("CAM1*.jpg"))) == 1
    late = visant("trigger", "--tag", "door", "--wait-for", "1s")
    assert late.status == ExitStatus.STILL_GOING
    assert "visant triggers show HALL3 " in late.err
    assert visant("trigger", "CAM1", "--group", 'hall "A"').status == ExitStatus.USAGE
    assert visant("trigger").status == ExitStatus.USAGE
    assert visant("trigger", "--tag", "nobody-has-it").status == ExitStatus.NOT_FOUND


def test_what_changes_many_devices_asks_first_and_is_a_job(visant: Visant, hall: list[str]) -> None:
    unasked = visant("schedule", "set", "1h", "--group", 'hall "A"')
    assert unasked.status == ExitStatus.USAGE
    assert "a picture every 60 min? Nobody is here to ask: say --yes" in unasked.err
    done = visant("schedule", "set", "1h", "--group", 'hall "A"', "--yes", "--json").json
    assert (done["kind"], done["total"], done["failed"], done["status"]) == ("schedule", 3, 0, "done")
    assert {row["device_id"] for row in visant("schedule", "own", "--json").json} >= set(hall)
    shown = visant("jobs", "show", done["job_id"], "--all", "--json").json
    assert {one["device_id"]: one["outcome"] for one in shown["items"]} == dict.fromkeys(hall, "done")
    assert visant("jobs", "wait", done["job_id"]).status == ExitStatus.DONE
    assert visant("schedule", "set", "off", "--group", 'hall "A"', "--yes").status == ExitStatus.DONE
    assert visant("jobs", "cancel", done["job_id"]).status == ExitStatus.CONFLICT

    slow = visant("devices", "tag", "NOBODY", "--add", "x")
    assert slow.status == ExitStatus.NOT_FOUND
    assert "there is no device NOBODY" in slow.err


def test_a_device_is_named_suspended_replaced_and_deleted(visant: Visant) -> None:
    visant("devices", "add", "LOBBY")
    named = visant("devices", "set", "LOBBY", "--name", "カメラ الباب", "--notes", "behind the plant", "--json")
    assert named.status == ExitStatus.DONE, named.err
    shown = visant("devices", "show", "LOBBY")
    assert "カメラ الباب" in shown.out
    assert "behind the plant" in shown.out
    assert visant("devices", "suspend", "LOBBY").status == ExitStatus.DONE
    assert visant("devices", "ls", "--state", "inactive").out.split("\t")[0] == "LOBBY"
    assert visant("devices", "resume", "LOBBY").status == ExitStatus.DONE
    code = visant("devices", "replace", "LOBBY")
    assert code.out.strip() and "another computer becomes LOBBY" in code.err
    assert visant("devices", "rm", "LOBBY").status == ExitStatus.USAGE
    assert visant("devices", "rm", "LOBBY", "--pictures").status == ExitStatus.USAGE
    assert visant("devices", "rm", "LOBBY", "--pictures", "--yes").status == ExitStatus.DONE
    assert visant("devices", "show", "LOBBY").status == ExitStatus.NOT_FOUND


def test_a_group_is_renamed_and_removed_and_its_devices_stay(visant: Visant) -> None:
    visant("groups", "add", "attic")
    visant("devices", "group", "CAM1", "--add", "attic")
    assert visant("groups", "rename", "attic", "loft").status == ExitStatus.DONE
    assert visant("groups", "rm", "loft").status == ExitStatus.USAGE
    assert visant("groups", "rm", "loft", "--yes").status == ExitStatus.DONE
    assert visant("devices", "show", "CAM1").status == ExitStatus.DONE
    assert visant("groups", "rename", "loft", "x").status == ExitStatus.NOT_FOUND


def test_a_batch_of_codes_is_made_followed_printed_and_revoked(visant: Visant, tmp_path: Path) -> None:
    made = visant("enrol", "add", "north wing", "--device", "N1=North 1", "--device", "N2")
    assert made.status == ExitStatus.DONE, made.err
    codes = [line.split("\t") for line in made.out.splitlines()]
    assert [code[1:] for code in codes] == [["N1", "North 1"], ["N2", ""]]
    [batch] = visant("enrol", "ls", "--json").json
    assert {row["state"] for row in visant("enrol", "show", batch["batch_id"], "--json").json} == {"unused"}
    sheet = tmp_path / "labels.html"
    assert visant("enrol", "labels", batch["batch_id"], "-o", sheet).status == ExitStatus.DONE
    assert "north wing" in sheet.read_text()
    assert visant("enrol", "rm", batch["batch_id"], "--yes").status == ExitStatus.DONE
    assert {row["state"] for row in visant("enrol", "show", batch["batch_id"], "--json").json} == {"revoked"}
    assert visant("enrol", "labels", batch["batch_id"], "-o", sheet).status == ExitStatus.CONFLICT
    assert visant("enrol", "add", "none").status == ExitStatus.USAGE


def test_a_filter_holds_whatever_a_name_holds() -> None:
    assert filter_of("state:offline ", ['hall "A"', "b,c"], ["x\\y"]) == (
        'state:offline group:"hall \\"A\\"","b,c" tag:"x\\\\y"'
    )
    assert (filter_of(None, None, None), filter_of(" ", None, None, everyone=True)) == (None, "")
