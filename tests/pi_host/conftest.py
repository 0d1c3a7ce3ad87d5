"""One release, one network and one cloud for each process of pytest; hosts as tests need them.

`pi`         a fresh host for one test file, with the kit and nothing installed
`installed`  one working device that all files share: leave it as you found it
`new_pi`     another fresh host; `engine=True`: with Docker there already, which saves a minute
Tests with the mark `short` are run by SHORT=1.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pi_host.cloud import Cloud
from tests.pi_host.pi import LABEL, Pi
from tests.pi_host.ready import engine_image
from tests.pi_host.release import Release, docker, make
from tests.pi_host.ways import install

NewPi = Callable[..., Pi]
RUN = os.environ.get("PI_HOST_RUN") or str(os.getpid())


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return make(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="session")
def network() -> Iterator[str]:
    name = f"visant-pi-{RUN}{os.environ.get('PYTEST_XDIST_WORKER', '').replace('gw', '-')}"  # one for each worker
    # A site's network, in a range that the Engine gives to nobody: it could be the one that a host's own Engine keeps
    # for its containers, in an image that was made in another network (visantctl address-pools).
    for number in range(256):
        create = ("network", "create", f"--label={LABEL}={RUN}", f"--subnet=10.64.{number}.0/24", name)
        if docker(*create, check=False):
            break
    else:
        pytest.fail("no network of 10.64.0.0/16 is free")
    yield name
    docker("network", "rm", name, check=False)


@pytest.fixture(scope="session")
def cloud(network: str) -> Iterator[Cloud]:
    cloud = Cloud(f"{network}-cloud", network, RUN)
    try:
        cloud.create()
        yield cloud
    finally:
        cloud.remove()


@pytest.fixture(scope="session")
def new_pi(network: str, release: Release) -> Iterator[NewPi]:
    """Makes a host by the name it shall have in the cloud."""
    made: list[Pi] = []

    def new(device: str, *, engine: bool = False, card: Path | None = None) -> Pi:
        pi = Pi(f"{network}-{device.lower()}", network, RUN, device, disk=card)
        if engine:
            pi.image = engine_image(network, RUN)
        made.append(pi)
        pi.create()
        pi.take_kit(release)
        return pi

    yield new
    for pi in made:
        if not os.environ.get("KEEP"):
            pi.remove()


@pytest.fixture(scope="module")
def pi(new_pi: NewPi, request: pytest.FixtureRequest) -> Pi:
    return new_pi(request.module.__name__.rsplit("test_", 1)[-1].replace("_", "-").upper())


@pytest.fixture(scope="session")
def installed(new_pi: NewPi, cloud: Cloud) -> Pi:
    pi = new_pi("SHARED", engine=True)
    install(pi, cloud)
    return pi
