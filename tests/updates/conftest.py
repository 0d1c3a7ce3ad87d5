"""What the update tests share: one registry, one shop of releases, a fresh device for each test."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.updates import leftovers
from tests.updates.host import Host
from tests.updates.shop import TREE, Shop, new_key, signers
from tests.updates.wire import Relay, Website


def numbered(minor: int) -> str:
    """A version that no product and no other run of these tests has: tags are shared by all who use the Engine."""
    return f"0.{minor}.{os.getpid()}"


GOOD, UNHEALTHY, CRASHING, NO_START, DEAF, BLIND, NEXT = (numbered(minor) for minor in range(1, 8))
"""Versions of the shared releases."""
STANDARD: dict[str, dict[str, Any]] = {
    GOOD: {},
    UNHEALTHY: {"behaviour": "unhealthy", "where": "uploader"},
    CRASHING: {"behaviour": "crashing", "where": "uploader"},
    NO_START: {"behaviour": "no_start", "where": "connector"},
    DEAF: {"behaviour": "deaf", "where": "connector"},
    BLIND: {"behaviour": "blind", "where": "camera"},
    NEXT: {"payload": 3_000_000},
}
LONG_FILES = ("traffic", "releases_guide", "releases", "from_release_before", "kill_points", "hard_times", "pruned")
"""Begun before the others: whoever takes one as the last is waited for by all."""
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first."""
    rank = {f"test_{name}.py": number for number, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """On the shared Engine, also when a test has failed: set up first, so this looks after all else was torn down."""
    leftovers.sweep()
    yield
    assert leftovers.of(os.getpid()) == []


@pytest.fixture(scope="session")
def registry_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the registry keeps its blobs."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="session")
def registry(registry_data: Path) -> Iterator[tuple[str, int]]:
    """A real registry on loopback, of this run alone."""
    env = {**os.environ, "LAB_REGISTRY": f"updates-{os.getpid()}"}
    script = str(TREE / "lab/registry.sh")
    out = subprocess.run(
        [script, "start", str(registry_data)], env=env, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    host, port = out.strip().splitlines()[-1].split(":")
    yield host, int(port)
    subprocess.run([script, "forget"], env=env, check=True)


@pytest.fixture(scope="session")
def relay(registry: tuple[str, int]) -> Iterator[Relay]:
    """What stands between devices and the registry, and can fail."""
    made = Relay(registry)
    yield made
    made.close()


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, registry: tuple[str, int], relay: Relay) -> Iterator[Shop]:
    """The shared releases, each made once, when it is first needed."""
    folder = tmp_path_factory.mktemp("shop")
    made = Shop(
        folder=folder,
        registry="{}:{}".format(*registry),
        relay=relay.address,
        redis_image=os.environ.get("REDIS_IMAGE", ""),
        run=f"updates-{os.getpid()}",
        key=new_key(folder, "release"),
        standard=STANDARD,
    )
    yield made
    leftovers.remove_images(os.getpid())


@pytest.fixture(scope="session")
def website(shop: Shop) -> Iterator[Website]:
    """Where the devices look for releases."""
    made = Website(shop.dist)
    yield made
    made.down()


@pytest.fixture
def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def new_host(shop: Shop, website: Website, relay: Relay, tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Makes empty devices; each follows a channel of its own."""
    made: list[Host] = []

    def new(**fields: object) -> Host:
        number = next(_numbers)
        usual: dict[str, Any] = {"root": tmp_path / f"device{number}", "url": website.url}
        host = Host(
            project=f"vu{os.getpid()}-{number}",
            signers=signers(shop.key),
            channel=f"channel{number}",
            **{**usual, **fields},
        )
        made.append(host)
        return host

    yield new
    relay.mend()
    for host in made:
        host.remove()


@pytest.fixture
def host(shop: Shop, new_host: Callable[..., Host]) -> Host:
    """A device that runs GOOD."""
    shop.need(GOOD)
    made = new_host()
    made.install(GOOD)
    return made


class Reporter:
    """Says at once what failed: the whole run takes long, and somebody may end it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            writer = self._config.get_terminal_writer()
            writer.line(f"\n{report.longreprtext}\n{report.capstdout[-6000:]}")
            writer.flush()


def pytest_configure(config: pytest.Config) -> None:
    """A run that is told to end takes its containers and its registry along."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config.pluginmanager.register(Reporter(config))
