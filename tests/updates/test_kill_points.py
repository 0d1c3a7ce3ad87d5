"""kill -9 at every step of an update and of a rollback, then a boot: one whole release runs, and `status` is true.

The tests share one device that goes to and fro between two good releases.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from visantctl.host.kill_point import KILL_POINTS

from tests.updates.conftest import GOOD, NEXT, UNHEALTHY
from tests.updates.host import Host, killed
from tests.updates.shop import Shop, signers
from tests.updates.wire import Website

ROLLBACK = [name for name in KILL_POINTS if name.startswith("rollback-")]
APPLY = [name for name in KILL_POINTS if name not in ROLLBACK]
FINISHED = ("started", "soak-written", "soaked", *APPLY[APPLY.index("commit-written") :])
"""With both links switched and the candidate's containers running well, a boot finishes what was begun."""
UNCHANGED = APPLY[: APPLY.index("switch-written")]
SHORT = {"images-present", "current-linked", "good-written", "rollback-linked"}
assert len(APPLY) >= 12


def steps(names: list[str]) -> Iterator[object]:
    for name in names:
        yield pytest.param(name, marks=[] if name in SHORT else [pytest.mark.long])


@pytest.fixture(scope="module")
def shared(shop: Shop, website: Website, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    root = tmp_path_factory.mktemp("killed") / "device"
    for version in (GOOD, NEXT, UNHEALTHY):
        shop.need(version)
    host = Host(root=root, project=f"vk{os.getpid()}", url=website.url, signers=signers(shop.key))
    host.install(GOOD, UPDATE_SOAK="2")
    yield host
    host.remove()


@pytest.fixture
def to_and_fro(shared: Host) -> tuple[Host, str, str]:
    """(the device, what it runs, the other good release)."""
    value = shared.status()
    if value["state"] != "ok":  # the test before has failed
        shared.install(GOOD, UPDATE_SOAK="2")
    runs = str(shared.status()["version"])
    return shared, runs, NEXT if runs == GOOD else GOOD


@pytest.mark.parametrize("step", list(steps(APPLY)))
def test_kill_in_an_update(to_and_fro: tuple[Host, str, str], step: str) -> None:
    host, before, candidate = to_and_fro
    host.configure(UPDATE_PIN=candidate)
    code, out = host.ctl("update", "--force", kill_at=step)
    assert killed(code), out
    assert host.status()["state"] == ("ok" if step in (*UNCHANGED, "closed") else "unrepaired")

    assert host.ctl("boot")[0] == 0
    host.assert_runs(candidate if step in FINISHED else before)
    assert host.quarantined() == []
    events = [event for event in host.history() if event.get("to") == candidate]
    assert len({event["id"] for event in events}) == len(events), "an update was written down twice"
    if step not in (*UNCHANGED, *FINISHED):
        assert host.history()[-1]["reason"] == "interrupted"
        host.update("--force")  # the second try
        host.assert_runs(candidate)


@pytest.mark.parametrize("step", list(steps(ROLLBACK)))
def test_kill_in_a_rollback(to_and_fro: tuple[Host, str, str], step: str) -> None:
    host, before, _ = to_and_fro
    host.configure(UPDATE_PIN=UNHEALTHY)
    code, out = host.ctl("update", "--force", kill_at=step)
    assert killed(code), out
    assert host.ctl("boot")[0] == 0
    host.assert_runs(before)
    assert host.quarantined() == [UNHEALTHY]
    assert host.history()[-1]["result"] == "taken_back"


@pytest.mark.long
def test_interrupted_twice_is_quarantined(shop: Shop, host: Host) -> None:
    shop.offer(NEXT, host.channel)
    for quarantine in ([], [NEXT]):
        code, _ = host.ctl("update", kill_at="current-linked")
        assert killed(code)
        assert host.ctl("boot")[0] == 0
        host.assert_runs(GOOD)
        assert host.quarantined() == quarantine
    assert host.history()[-1]["reason"] == "interrupted twice"


@pytest.mark.long
def test_a_boot_that_is_killed_itself_is_repaired_by_the_next(shop: Shop, host: Host) -> None:
    shop.offer(NEXT, host.channel)
    assert killed(host.ctl("update", kill_at="current-linked")[0])
    assert killed(host.ctl("boot", kill_at="rollback-linked")[0])
    assert killed(host.ctl("boot", kill_at="rollback-started")[0])
    assert host.ctl("boot")[0] == 0
    host.assert_runs(GOOD)
    host.update()
    host.assert_runs(NEXT)


@pytest.mark.long
def test_the_next_update_repairs_as_a_boot_does(shop: Shop, new_host: Callable[[], Host], tmp_path: Path) -> None:
    shop.need(GOOD)
    host = new_host()
    host.install(GOOD)
    shop.offer(NEXT, host.channel)
    assert killed(host.ctl("update", kill_at="previous-linked")[0])
    host.update()
    host.assert_runs(NEXT)
    assert os.readlink(host.root / "previous") == f"releases/{GOOD}"
