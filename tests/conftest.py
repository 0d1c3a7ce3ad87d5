"""Fixtures for every test: a real Redis."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `support` is importable from any test file

from support.redis import RedisServer


@pytest.fixture
def redis_process(tmp_path: Path) -> Iterator[RedisServer]:
    """A fresh redis-server that the test may kill, pause and start again."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def redis_server(redis_process: RedisServer) -> str:
    """The URL of a fresh, empty redis-server of this test's own."""
    return redis_process.url
