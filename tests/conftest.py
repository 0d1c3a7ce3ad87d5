"""Fixtures for every test: a real Redis, services that start by a fork, folders in memory."""

import gc
import os
import sys
import tempfile
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import forked_starts, shared_tls
from tests.support.memory import memory_folder
from tests.support.redis import RedisServer

# Hypothesis' own limits are times, and this machine may have other work.
settings.register_profile("visant", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("visant"), max_examples=25)  # tools/check.sh: the inner loop
settings.load_profile("visant")

forked_starts.install()
shared_tls.install()
# httpcore looks for it at each lock, over the whole path: a twentieth of the CPU of tests that ask a cloud by httpx.
# As visant_runtime.device.cloud_http does in the services.
if find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]


def pytest_configure() -> None:
    """`tmp_path` lies in memory, where there is room."""
    if (folder := memory_folder()) is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", folder)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: it is not searched for garbage, a fifth of a second each time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture
def real_start() -> Iterator[None]:
    """For a test that is about the start itself, or about the memory of a fresh process: nothing is forked."""
    with forked_starts.real_starts():
        yield


@pytest.fixture
def redis_process() -> Iterator[RedisServer]:
    """A fresh redis-server that the test may kill, pause and start again."""
    with (
        tempfile.TemporaryDirectory(prefix="visant-test-redis-", dir=memory_folder()) as folder,
        RedisServer(Path(folder)) as server,
    ):
        yield server


@pytest.fixture
def redis_server(redis_process: RedisServer) -> str:
    """The URL of a fresh, empty redis-server of this test's own."""
    return redis_process.url
