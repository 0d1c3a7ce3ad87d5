"""The disk fills up: before, while the release is stored, and while its images are pulled."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.updates.conftest import GOOD, NEXT
from tests.updates.host import Host
from tests.updates.private_engine import PrivateEngine
from tests.updates.registry import registry
from tests.updates.shop import Shop

NO_SPACE = 5


@pytest.fixture
def small_disk(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of `param` MB."""
    where = Path(tempfile.mkdtemp(prefix="small"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={request.param}m", "small", str(where)], check=True)
    yield where
    subprocess.run(["umount", str(where)], check=True)
    where.rmdir()


def fill(ballast: Path) -> None:
    """Until the file system is full."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4096):
            pass


def test_a_disk_too_full_for_the_release(shop: Shop, host: Host) -> None:
    shop.offer(NEXT, host.channel)
    host.configure(UPDATE_MIN_FREE_BYTES=str(10**14))
    out = host.update(code=NO_SPACE)
    assert "MB free" in out
    host.assert_runs(GOOD)


@pytest.mark.long
@pytest.mark.parametrize("small_disk", [3], indirect=True)
def test_a_disk_that_fills_up_while_the_release_is_stored(
    shop: Shop, small_disk: Path, new_host: Callable[..., Host]
) -> None:
    host = new_host(root=small_disk / "visant")
    shop.need(GOOD)
    host.configure(UPDATE_MIN_FREE_BYTES="0")
    host.install(GOOD)
    shop.offer(NEXT, host.channel)
    ballast = small_disk / "ballast"
    fill(ballast)
    host.update(code=NO_SPACE)
    ballast.unlink()
    host.assert_runs(GOOD)
    host.update()
    host.assert_runs(NEXT)
    host.remove()


@pytest.fixture
def small_engine(small_disk: Path) -> Iterator[PrivateEngine]:
    made = PrivateEngine(small_disk)
    yield made
    made.close()


@pytest.mark.long
@pytest.mark.parametrize("small_disk", [300], indirect=True)
def test_a_disk_that_fills_up_in_the_middle_of_a_pull(
    shop: Shop,
    small_disk: Path,
    small_engine: PrivateEngine,
    tmp_path: Path,
    registry_data: Path,
    new_host: Callable[..., Host],
) -> None:
    for version in (GOOD, NEXT):
        shop.need(version)
    with registry(registry_data, tmp_path, shop.relay, enter=small_engine.enter):
        host = new_host(docker_host=small_engine.host, enter=small_engine.enter, url=f"file://{shop.dist}")
        host.configure(UPDATE_MIN_FREE_BYTES="0")
        host.install(GOOD)
        shop.offer(NEXT, host.channel)
        ballast = small_disk / "ballast"
        fill(ballast)
        with ballast.open("r+b") as file:
            # Room for what the manifest says that the images need, and not for what they do need.
            file.truncate(ballast.stat().st_size - 5_000_000)
        out = host.update(code=NO_SPACE)
        assert "the disk is full" in out
        host.assert_runs(GOOD)
        ballast.unlink()
        host.update()
        host.assert_runs(NEXT)
