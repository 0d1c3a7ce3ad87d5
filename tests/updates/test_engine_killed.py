"""The Docker Engine dies in the middle of an update: the one failure that visantctl cannot outrun."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.updates.conftest import GOOD, NEXT
from tests.updates.host import Host
from tests.updates.private_engine import PrivateEngine
from tests.updates.shop import Shop, docker


@pytest.fixture
def engine() -> Iterator[PrivateEngine]:
    folder = Path(tempfile.mkdtemp(prefix="engine"))
    made = PrivateEngine(folder)
    yield made
    made.close()
    shutil.rmtree(folder)


@pytest.fixture
def lonely(shop: Shop, engine: PrivateEngine, new_host: Callable[..., Host]) -> Host:
    """A device that runs GOOD on the private Engine, updated by archive: it has no way out."""
    arch = docker("version", "--format", "{{.Server.Arch}}")
    for version in (GOOD, NEXT):
        shop.release(version + "-a", more=("--archive", arch, "--compress", "1", "--emulation"))
    host = new_host(docker_host=engine.host, enter=engine.enter)
    host.configure(UPDATE_SOAK="1")
    host.update("--from", str(shop.dist / f"{GOOD}-a/visant-{GOOD}-a-{arch}.tar"))
    host.configure(UPDATE_SOAK="5", UPDATE_ENGINE_PATIENCE="60")
    host.assert_runs(GOOD + "-a")
    return host


def until_watched_then(host: Host, action: Callable[[], None]) -> tuple[int, str]:
    """Run an update to NEXT and do something once the new release is being watched."""
    arch = docker("version", "--format", "{{.Server.Arch}}")
    archive = Path(host.url.removeprefix("file://")) / f"{NEXT}-a/visant-{NEXT}-a-{arch}.tar"
    done, said = threading.Event(), []
    with host.start("update", "--from", str(archive)) as process:
        for line in process.stdout or ():
            said.append(line)
            if "watching it" in line and not done.is_set():
                done.set()
                action()
    print("".join(said))
    assert done.is_set()
    return process.returncode, "".join(said)


@pytest.mark.long
def test_an_engine_that_comes_back_in_time_ends_in_the_new_release(
    shop: Shop, lonely: Host, engine: PrivateEngine
) -> None:
    lonely.url = f"file://{shop.dist}"

    def die_and_return() -> None:
        engine.kill()
        engine.start()

    code, out = until_watched_then(lonely, die_and_return)
    assert code == 0, out
    lonely.assert_runs(NEXT + "-a")


@pytest.mark.long
def test_an_engine_that_stays_away_leaves_the_repair_to_the_boot(
    shop: Shop, lonely: Host, engine: PrivateEngine
) -> None:
    lonely.url = f"file://{shop.dist}"
    lonely.configure(UPDATE_ENGINE_PATIENCE="3")
    code, out = until_watched_then(lonely, engine.kill)
    assert code == 6, out
    assert lonely.status()["state"] == "no_engine"
    assert lonely.status()["pending"]["candidate"] == NEXT + "-a"

    engine.start()
    assert lonely.ctl("boot")[0] == 0
    lonely.assert_runs(str(lonely.status()["version"]))
    assert lonely.status()["version"] in (GOOD + "-a", NEXT + "-a")
