"""visantctl is no installed package, and `emulation` and `tests.faults` are none either."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.hard_network import Authority

if TYPE_CHECKING:
    from emulation.stack import Cloud

TREE = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TREE / "deployment"))
sys.path.insert(0, str(TREE))


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
    from emulation.stack import Cloud

    cloud = Cloud(tmp_path / "cloud", lines)
    await cloud.start()
    yield cloud
    await cloud.stop()
