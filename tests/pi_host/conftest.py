"""One host, one cloud, one release for all tests, which run in the order of a device's life."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.pi_host.pi import Cloud, Pi
from tests.pi_host.release import TREE, Release, docker, make

DEVICE = "PI-HOST-1"


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return make(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="session")
def network() -> Iterator[str]:
    name = f"visant-pi-{os.getpid()}"
    docker("network", "create", name)
    yield name
    docker("network", "rm", name, check=False)


@pytest.fixture(scope="session")
def cloud(network: str) -> Iterator[Cloud]:
    cloud = Cloud(f"{network}-cloud", network)
    try:
        cloud.create()
        yield cloud
    finally:
        cloud.remove()


@pytest.fixture(scope="session")
def pi(network: str, release: Release) -> Iterator[Pi]:
    """A fresh host with what a technician copies onto it: the folder `deployment`, the archive, the keys."""
    pi = Pi(f"{network}-host", network)
    try:
        pi.create()
        pi.sh("mkdir -p /root/visant")
        for what in (TREE / "deployment", TREE / ".env.device.example", release.archive, release.signers):
            pi.put(what, f"/root/visant/{what.name}" if what != release.archive else "/root/visant/release.tar")
        pi.sh("rm -rf /root/visant/deployment/release")
        yield pi
    finally:
        if not os.environ.get("KEEP"):
            pi.remove()
