"""A site's own authority, and a cloud as a process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from emulation.stack import Cloud
from tests.support.hard_network import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


class Lines:
    """What the processes print."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def line(self, name: str, text: str) -> None:
        self.all.append(f"{name}: {text}")


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
async def cloud(tmp_path: Path, lines: Lines) -> AsyncIterator[Cloud]:
    """A real one, which speaks plain http on loopback."""
    cloud = Cloud(tmp_path / "cloud", lines)
    await cloud.start()
    yield cloud
    await cloud.stop()
