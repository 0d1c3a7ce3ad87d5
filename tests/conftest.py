"""Fixtures for every test: a real Redis, and services that start by a fork."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import forked_starts
from tests.support.redis import RedisServer

# Hypothesis' own limits are times, and this machine may have other work.
settings.register_profile("visant", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("visant")

forked_starts.install()


@pytest.fixture
def real_start() -> Iterator[None]:
    """For a test that is about the start itself, or about the memory of a fresh process: nothing is forked."""
    with forked_starts.real_starts():
        yield


def _memory() -> str | None:
    """A folder in memory where there is room: what kill -9 leaves is the same there, and a flush costs nothing."""
    shared = Path("/dev/shm")
    if os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 512 * 2**20:
        return str(shared)
    return None


@pytest.fixture
def redis_process() -> Iterator[RedisServer]:
    """A fresh redis-server that the test may kill, pause and start again."""
    with (
        tempfile.TemporaryDirectory(prefix="visant-test-redis-", dir=_memory()) as folder,
        RedisServer(Path(folder)) as server,
    ):
        yield server


@pytest.fixture
def redis_server(redis_process: RedisServer) -> str:
    """The URL of a fresh, empty redis-server of this test's own."""
    return redis_process.url
