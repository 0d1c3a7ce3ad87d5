"""Images that somebody deleted (`docker image prune --all` at night): what can be had again runs again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.updates.conftest import GOOD, NEXT, UNHEALTHY, numbered
from tests.updates.host import Host, killed
from tests.updates.shop import Shop, docker
from tests.updates.wire import Relay, Website

BY_FILE = numbered(10)
UNREACHABLE = 3


def prune(host: Host, version: str) -> list[str]:
    """Delete those images of a release that no container uses, under all their names; returns their services."""
    mine = ("--filter", f"label=com.docker.compose.project={host.project}")
    used = {host.docker("inspect", "--format", "{{.Image}}", one) for one in host.docker("ps", "-aq", *mine).split()}
    gone = []
    for service in ("camera", "connector", "redis", "uploader"):
        found = host.docker("image", "ls", "--no-trunc", "--quiet", f"visant/{service}:{version}").split()
        if found and found[0] not in used:
            host.docker("rmi", "--force", found[0])
            gone.append(service)
    return gone


@pytest.fixture
def going_back(shop: Shop, new_host: Callable[..., Host]) -> Host:
    """On its way from UNHEALTHY to NEXT, which has been deleted."""
    shop.need(UNHEALTHY)
    shop.need(NEXT)  # images that are no other's parents: only such can be deleted
    host = new_host()
    host.install(NEXT)
    host.configure(UPDATE_PIN=UNHEALTHY, UPDATE_START_TIMEOUT="20")
    assert killed(host.ctl("update", "--force", kill_at="rollback-written")[0])
    assert prune(host, NEXT) == ["camera", "connector", "uploader"]
    return host


@pytest.mark.parametrize("cut_short", [False, pytest.param(True, marks=pytest.mark.long)])
def test_what_an_update_goes_back_to_was_pruned(going_back: Host, relay: Relay, cut_short: bool) -> None:
    host = going_back
    relay.cut_after(0)
    for _ in range(2):
        code, out = host.ctl("boot", kill_at="held" if cut_short else "")
        assert killed(code) if cut_short else code == 0, out
        assert cut_short or f"is kept until {NEXT} can be had" in out
        value = host.status()
        assert value["pending"]["candidate"] == UNHEALTHY
        assert value["services"]["camera"]["status"] == "running", "pictures come from what is held"
    assert "Traceback" not in host.ctl("update")[1]
    relay.mend()
    assert host.ctl("boot")[0] == 0
    host.assert_runs(NEXT)


def test_a_file_brings_back_what_was_installed_from_it(
    shop: Shop, new_host: Callable[..., Host], relay: Relay, website: Website
) -> None:
    arch = docker("version", "--format", "{{.Server.Arch}}")
    shop.release(BY_FILE, payload=1_000_000, more=("--emulation", "--archive", arch, "--compress", "1"))
    archive = str(shop.dist / BY_FILE / f"visant-{BY_FILE}-{arch}.tar")
    host = new_host(url="")
    relay.cut_after(0)
    host.update("--now", "--from", archive)
    host.assert_runs(BY_FILE)
    host.docker("rm", "--force", *(host.container(one) for one in ("camera", "connector", "uploader")))
    assert prune(host, BY_FILE) == ["camera", "connector", "uploader"]

    code, out = host.ctl("boot")
    assert code == UNREACHABLE
    assert "update --from FILE" in out
    assert f"{BY_FILE} runs again" in host.update("--from", archive)
    host.assert_runs(BY_FILE)
    assert "is up to date" in host.update("--from", archive)


@pytest.mark.long
def test_a_release_in_the_hand_ends_a_rollback_that_cannot_end(shop: Shop, going_back: Host, relay: Relay) -> None:
    arch = docker("version", "--format", "{{.Server.Arch}}")
    if not (shop.dist / BY_FILE).exists():
        shop.release(BY_FILE, payload=1_000_000, more=("--emulation", "--archive", arch, "--compress", "1"))
    relay.cut_after(0)
    going_back.update("--from", str(shop.dist / BY_FILE / f"visant-{BY_FILE}-{arch}.tar"))
    going_back.assert_runs(BY_FILE)


@pytest.mark.long
def test_an_operator_goes_back_only_to_what_can_be_had(shop: Shop, host: Host, relay: Relay) -> None:
    shop.need(NEXT)
    for version in (NEXT, GOOD):  # GOOD's images are the parents of NEXT's: only NEXT's can be deleted
        host.install(version)
    assert prune(host, NEXT) == ["camera", "connector", "uploader"]
    relay.cut_after(0)
    code, out = host.ctl("rollback")
    assert code == UNREACHABLE, out
    assert "nothing was changed" in out
    host.assert_runs(GOOD)
    assert host.quarantined() == []
    relay.mend()
    assert host.ctl("rollback")[0] == 0
    host.assert_runs(NEXT)


@pytest.mark.long
def test_the_reason_of_a_failure_is_the_services_own_last_line(shop: Shop, host: Host) -> None:
    shop.offer(UNHEALTHY, host.channel)
    host.configure(UPDATE_START_TIMEOUT="20")
    host.update(code=1)
    reason = host.history()[-1]["reason"]
    assert "never" not in reason
    assert "uploader: " in reason
