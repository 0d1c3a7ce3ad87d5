"""Releases good and bad, on a real Engine and a real registry."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.updates.conftest import BLIND, CRASHING, DEAF, GOOD, NEXT, NO_START, UNHEALTHY, numbered
from tests.updates.host import Host
from tests.updates.shop import Shop, docker

LATER = numbered(8)


def test_a_good_release_is_kept_and_the_one_before_the_previous_is_removed(shop: Shop, host: Host) -> None:
    shop.release(LATER)
    shop.offer(NEXT, host.channel)
    assert "runs and is kept" in host.update()
    host.assert_runs(NEXT)
    assert host.status()["previous"] == GOOD

    shop.offer(LATER, host.channel)
    host.update()
    host.assert_runs(LATER)
    assert host.status()["previous"] == NEXT
    assert sorted(path.name for path in (host.root / "releases").iterdir()) == [NEXT, LATER]
    assert docker("images", "--quiet", f"visant/*:{GOOD}") == ""
    assert [event["result"] for event in host.history()] == ["installed", "updated", "updated"]
    assert "is up to date" in host.update()


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        (UNHEALTHY, "unhealthy"),
        (CRASHING, "restart"),
        (NO_START, "no/such/program"),
        pytest.param(DEAF, "stream", marks=pytest.mark.long),
        pytest.param(BLIND, "camera", marks=pytest.mark.long),
    ],
    ids=["unhealthy", "crash-loop-whose-healthcheck-passes", "image-that-cannot-start", "no-stream", "no-picture"],
)
def test_a_bad_release_is_taken_back_and_quarantined(shop: Shop, host: Host, version: str, reason: str) -> None:
    shop.offer(version, host.channel)
    out = host.update(code=1)
    assert "was taken back" in out
    host.assert_runs(GOOD)

    last = host.history()[-1]
    assert (last["result"], last["from"], last["to"], last["quarantined"]) == ("taken_back", version, GOOD, True)
    assert reason in last["reason"]
    assert last["seconds"] < 60
    print(f"{version} ({reason}): back on {GOOD} {last['seconds']} s after the verdict")
    assert host.quarantined() == [version]
    assert json.loads((host.root / "shared/update.json").read_text())["reason"] == last["reason"]
    assert docker("images", "--quiet", f"visant/*:{version}") == ""
    # Not again by itself, and not a new event for each check.
    assert "quarantine" in host.update()
    host.update()
    assert [event["result"] for event in host.history()] == ["installed", "taken_back", "checked"]


@pytest.mark.long
def test_an_update_while_the_cloud_and_the_camera_are_away_is_kept(shop: Shop, host: Host) -> None:
    host.cloud(False)
    host.camera(False)
    shop.offer(NEXT, host.channel)
    host.update()
    host.assert_runs(NEXT)


@pytest.mark.long
def test_a_cloud_that_goes_away_in_the_middle_is_not_blamed_on_the_release(shop: Shop, host: Host) -> None:
    shop.offer(NEXT, host.channel)
    with host.start("update") as process:
        for line in process.stdout or ():
            if "watching it" in line:
                host.cloud(False)
    assert process.returncode == 1
    assert host.quarantined() == []
    host.assert_runs(GOOD)
    host.cloud(True)
    host.update()
    host.assert_runs(NEXT)


@pytest.mark.long
def test_an_operator_goes_back_and_the_device_stays_there(shop: Shop, host: Host) -> None:
    shop.offer(NEXT, host.channel)
    host.update()
    code, _ = host.ctl("rollback")
    assert code == 0
    host.assert_runs(GOOD)
    assert host.quarantined() == [NEXT]
    assert "quarantine" in host.update()
    host.update("--force")
    host.assert_runs(NEXT)
    assert host.quarantined() == []


@pytest.mark.long
def test_a_first_installation_that_fails_leaves_nothing_behind(shop: Shop, new_host: Callable[[], Host]) -> None:
    host = new_host()
    shop.offer(UNHEALTHY, host.channel)
    host.update(code=1)
    value = host.status()
    assert (value["state"], value["version"], value["services"]) == ("empty", None, {})
    shop.offer(GOOD, host.channel)
    host.update()
    host.assert_runs(GOOD)
