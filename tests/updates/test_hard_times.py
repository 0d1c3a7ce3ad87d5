"""No registry, half a registry, two at once, no network at all: the last good release keeps running."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.updates.conftest import GOOD, NEXT, numbered
from tests.updates.host import Host, wait_for
from tests.updates.shop import Shop, docker
from tests.updates.wire import Relay, Website

OFFLINE = numbered(9)
MINE = f"*/updates-{os.getpid()}/*"
UNREACHABLE, BUSY = 3, 75


def forget_images(version: str) -> None:
    """As on a device that never had them."""
    names = docker("images", "--format", "{{.Repository}}:{{.Tag}}", f"visant/*:{version}").split()
    names += docker("images", "--digests", "--format", "{{.Repository}}@{{.Digest}}", MINE).split()
    names += docker("images", "--format", "{{.Repository}}:{{.Tag}}", f"{MINE}:ok-3000000").split()
    for name in names:
        if "<none>" not in name:
            subprocess.run(["docker", "rmi", name], capture_output=True, check=False)


@pytest.mark.long
def test_no_release_source(shop: Shop, host: Host, website: Website) -> None:
    shop.offer(NEXT, host.channel)
    website.down()
    try:
        out = host.update(code=UNREACHABLE)
    finally:
        website.up()
    assert "refused" in out.lower()
    host.assert_runs(GOOD)
    host.update()
    host.assert_runs(NEXT)


@pytest.mark.long
def test_a_registry_that_is_down_before_the_pull(shop: Shop, host: Host, relay: Relay) -> None:
    shop.offer(NEXT, host.channel)
    forget_images(NEXT)
    relay.cut_after(0)
    host.update(code=UNREACHABLE)
    host.assert_runs(GOOD)
    relay.mend()
    host.update()
    host.assert_runs(NEXT)


def test_a_registry_that_dies_in_the_middle_of_a_pull(shop: Shop, host: Host, relay: Relay) -> None:
    shop.offer(NEXT, host.channel)
    forget_images(NEXT)
    relay.cut_after(1_000_000)
    host.update(code=UNREACHABLE)
    assert relay.is_cut, "the pull never got that far"
    host.assert_runs(GOOD)
    relay.mend()
    host.update()
    host.assert_runs(NEXT)


@pytest.mark.long
def test_an_update_that_is_told_to_end_in_the_middle_of_a_pull(shop: Shop, host: Host, relay: Relay) -> None:
    shop.offer(NEXT, host.channel)
    forget_images(NEXT)
    relay.hold()
    with host.start("update") as update:
        pulls = Path(f"/proc/{update.pid}/task/{update.pid}/children")
        wait_for(lambda: any(b"pull" in command_of(child) for child in pulls.read_text().split()), 60, "the pull")
        update.terminate()
        assert update.wait(10) != 0
    assert not (host.root / "state/pending.json").exists()
    host.assert_runs(GOOD)
    relay.mend()
    host.update()  # nothing holds the lock any more
    host.assert_runs(NEXT)
    assert list((host.root / "releases").glob(".incoming-*")) == []


def command_of(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


@pytest.mark.long
def test_of_two_updates_at_once_one_says_that_it_waits_for_nobody(shop: Shop, host: Host) -> None:
    shop.offer(NEXT, host.channel)
    with host.start("update") as first:
        wait_for(lambda: (host.root / "state/pending.json").exists(), 60, "the first update to switch")
        out = host.update(code=BUSY)
        assert f"pid {first.pid}" in out
        assert host.status()["state"] == "updating"
        said, _ = first.communicate(timeout=240)
    assert first.returncode == 0, said
    host.assert_runs(NEXT)


@pytest.mark.long
def test_a_capture_in_flight_is_waited_for(shop: Shop, host: Host) -> None:
    shop.offer(NEXT, host.channel)
    redis = host.container("redis")
    entry = host.docker("exec", redis, "redis-cli", "XADD", "visant:commands", "*", "entry", "{}")
    with host.start("update") as update:
        wait_for(lambda: (host.root / f"releases/{NEXT}/images.json").exists(), 60, "the images")
        with pytest.raises(subprocess.TimeoutExpired):
            update.wait(4)
        assert host.container("redis") == redis
        assert not (host.root / "state/pending.json").exists()
        host.docker("exec", redis, "redis-cli", "XDEL", "visant:commands", entry)
        said, _ = update.communicate(timeout=240)
    assert update.returncode == 0, said
    host.assert_runs(NEXT)


def test_an_archive_updates_a_host_without_a_registry(shop: Shop, host: Host, relay: Relay, website: Website) -> None:
    arch = docker("version", "--format", "{{.Server.Arch}}")
    shop.release(OFFLINE, payload=2_000_000, more=("--archive", arch, "--compress", "1", "--emulation"))
    archive = shop.dist / OFFLINE / f"visant-{OFFLINE}-{arch}.tar"
    forget_images(OFFLINE)
    relay.cut_after(0)
    website.down()
    try:
        host.update("--from", str(archive))
        host.assert_runs(OFFLINE)
        assert "up to date" in host.update("--from", str(archive))
    finally:
        website.up()
    damaged = host.root / "damaged.tar"
    whole = archive.read_bytes()
    for size in (0, 20 * 1024, len(whole) - 100_000):  # nothing, the manifest, all but the end of the images
        damaged.write_bytes(whole[:size])
        assert "Traceback" not in host.update("--from", str(damaged), "--force", code=4)
    host.update("--from", str(host.root / "nothing.tar"), code=2)
    host.assert_runs(OFFLINE)


@pytest.mark.long
def test_images_that_somebody_deleted_or_retagged_are_put_right_at_the_next_start(host: Host) -> None:
    tag = f"visant/uploader:{GOOD}"
    host.docker("rm", "--force", host.container("uploader"), host.container("camera"))
    host.docker("tag", f"visant/connector:{GOOD}", tag)
    host.docker("rmi", f"visant/camera:{GOOD}")
    assert host.ctl("boot")[0] == 0
    host.assert_runs(GOOD)
