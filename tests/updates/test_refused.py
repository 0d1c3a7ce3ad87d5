"""What must never be installed, and what only part of the fleet installs: nothing changes on the device."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from visantctl.updates.rollout import bucket

from tests.updates.conftest import GOOD, NEXT, numbered
from tests.updates.host import Host
from tests.updates.shop import Shop, new_key, signers
from tests.updates.wire import Website

REFUSED = 4
_channels = itertools.count(1)


@pytest.fixture(scope="module")
def shared(shop: Shop, website: Website, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    root = tmp_path_factory.mktemp("refusing") / "device"
    shop.need(GOOD)
    host = Host(root=root, project=f"vr{os.getpid()}", url=website.url, signers=signers(shop.key))
    host.install(GOOD)
    yield host
    host.remove()


@pytest.fixture
def steady(shared: Host) -> Host:
    """One device that runs GOOD, for all tests that must not change it; each with a channel of its own."""
    shared.channel = f"refused{next(_channels)}"
    shared.configure(UPDATE_PIN="", DEVICE_ID="TEST-1")
    return shared


def assert_refused(host: Host, why: str, version: str = GOOD) -> None:
    out = host.update(code=REFUSED)
    assert why in out, out
    assert "Traceback" not in out
    host.assert_runs(version)
    last = host.history()[-1]
    assert last["result"] == "not_taken"
    assert why in last["reason"]


def test_a_manifest_changed_after_signing(shop: Shop, steady: Host) -> None:
    host = steady
    shop.offer(NEXT, host.channel)
    path = shop.dist / host.channel / "release.json"
    path.write_text(path.read_text().replace(NEXT, NEXT + "9"))
    assert_refused(host, "does not match its content")


def test_a_signature_by_a_key_the_device_does_not_know(shop: Shop, steady: Host) -> None:
    host = steady
    shop.offer(NEXT, host.channel)
    shop.sign(shop.dist / host.channel / "release.json", key=new_key(host.root, "stranger"))
    assert_refused(host, "not by a key of allowed_signers")


@pytest.mark.long
def test_a_signature_made_for_another_purpose(shop: Shop, steady: Host) -> None:
    host = steady
    shop.offer(NEXT, host.channel)
    shop.sign(shop.dist / host.channel / "release.json", namespace="git")
    assert_refused(host, "does not match its content")


def test_a_manifest_without_a_digest(shop: Shop, steady: Host) -> None:
    host = steady
    shop.need(NEXT)
    images = json.loads((shop.dist / NEXT / "release.json").read_text())["images"]
    images["camera"]["reference"] = images["camera"]["reference"].split("@")[0]
    shop.doctored(NEXT, numbered(71), {"images": images})
    host.configure(UPDATE_PIN=numbered(71))
    assert_refused(host, "images.camera has no digest")


def test_a_digest_that_the_registry_does_not_have(shop: Shop, steady: Host) -> None:
    host = steady
    shop.need(NEXT)
    images = json.loads((shop.dist / NEXT / "release.json").read_text())["images"]
    name = images["camera"]["reference"].split("@")[0]
    images["camera"]["reference"] = f"{name}@sha256:{'0' * 64}"
    folder = shop.dist / numbered(72)
    shop.doctored(NEXT, numbered(72), {"images": images})
    assert folder.is_dir()
    host.configure(UPDATE_PIN=numbered(72))
    assert_refused(host, "the registry does not have")


def test_an_older_version(shop: Shop, host: Host) -> None:
    shop.need(NEXT)
    host.install(NEXT)
    shop.offer(GOOD, host.channel)
    assert_refused(host, f"{GOOD} is older than {NEXT}", version=NEXT)


def test_other_content_under_the_version_that_runs(shop: Shop, steady: Host) -> None:
    host = steady
    shop.doctored(GOOD, GOOD + "-copy", {"version": GOOD, "revision": "another"})
    folder = shop.dist / (GOOD + "-copy")
    shutil.copytree(folder, shop.dist / host.channel)
    assert_refused(host, "a version is never reused")


def test_host_files_other_than_the_manifest_names(shop: Shop, steady: Host) -> None:
    host = steady
    shop.doctored(NEXT, numbered(73), {})
    bundle = shop.dist / numbered(73) / f"visant-host-{NEXT}.tar.gz"
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"x")
    host.configure(UPDATE_PIN=numbered(73))
    assert_refused(host, "is not what the manifest names")


@pytest.mark.long
def test_a_release_that_needs_a_newer_updater(shop: Shop, steady: Host) -> None:
    host = steady
    shop.doctored(NEXT, numbered(74), {"minimum_updater": 1000})
    host.configure(UPDATE_PIN=numbered(74))
    assert_refused(host, "needs updater 1000")


def test_a_release_whose_own_visantctl_does_not_start(shop: Shop, steady: Host) -> None:
    host = steady
    tree = host.root / "tree"
    (tree / "deployment/bin").mkdir(parents=True)
    (tree / "deployment/bin/visantctl").write_text("#!/usr/bin/env python3\nimport no_such_module\n")
    shop.release(numbered(80), more=("--tree", str(tree)))
    host.configure(UPDATE_PIN=numbered(80))
    assert_refused(host, "no_such_module")


@pytest.mark.long
@pytest.mark.parametrize(
    ("percent", "taken"),
    [(0, False), (50, None), (100, True)],
)
def test_a_rollout_reaches_its_part_of_the_fleet(shop: Shop, host: Host, percent: int, taken: bool | None) -> None:
    inside = next(f"PI-{n}" for n in range(1000) if bucket(f"PI-{n}", NEXT) < 50)
    outside = next(f"PI-{n}" for n in range(1000) if bucket(f"PI-{n}", NEXT) >= 50)
    shop.offer(NEXT, host.channel, rollout=percent)
    host.configure(DEVICE_ID=outside)
    out = host.update("--now")
    assert ("runs and is kept" in out) == (taken is True)
    host.configure(DEVICE_ID=inside)
    out = host.update("--now")
    assert ("% of the fleet" in out) == (percent == 0)
    host.assert_runs(GOOD if percent == 0 else NEXT)


@pytest.mark.long
def test_keys_are_rotated_by_two_releases_that_are_kept(shop: Shop, new_host: Callable[[], Host]) -> None:
    # No release of other tests: the third one that a device keeps takes the first one's images off the shared Engine.
    first, both, only_fresh, by_old = numbered(75), numbered(76), numbered(77), numbered(78)
    shop.release(first)
    host = new_host()
    host.install(first)
    fresh = new_key(host.root, "fresh")
    shop.release(both, keys=(shop.key, fresh))
    shop.offer(both, host.channel)
    host.update()
    assert (host.root / "allowed_signers").read_text() == signers(shop.key, fresh)

    shop.release(only_fresh, keys=(fresh,))
    shop.offer(only_fresh, host.channel, key=fresh)
    host.update()
    assert (host.root / "allowed_signers").read_text() == signers(fresh)

    shop.release(by_old)
    shop.offer(by_old, host.channel)
    assert_refused(host, "not by a key of allowed_signers", version=only_fresh)


def test_a_key_list_that_does_not_know_its_own_release_is_not_taken_over(shop: Shop, steady: Host) -> None:
    host = steady
    shop.doctored(NEXT, numbered(79), {"allowed_signers": signers(new_key(host.root, "other"))})
    host.configure(UPDATE_PIN=numbered(79))
    assert_refused(host, "list both keys in one release")
    assert (host.root / "allowed_signers").read_text() == signers(shop.key)


def test_a_device_without_a_key_list_says_what_to_do(shop: Shop, steady: Host) -> None:
    host = steady
    shop.offer(NEXT, host.channel)
    known = (host.root / "allowed_signers").read_text()
    try:
        for content in (None, "", "\xff\n"):
            if content is None:
                (host.root / "allowed_signers").unlink()
            else:
                (host.root / "allowed_signers").write_text(content, encoding="latin-1")
            assert_refused(host, "allowed_signers")
    finally:
        (host.root / "allowed_signers").write_text(known)
