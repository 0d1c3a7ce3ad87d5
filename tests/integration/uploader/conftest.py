"""Fixtures: a device between a scripted camera and a scripted cloud."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.fake_camera import FakeCamera
from tests.fakes.fake_cloud import FakeCloud
from tests.support.uploader_process import Device


@pytest.fixture
def camera() -> Iterator[FakeCamera]:
    server = FakeCamera()
    yield server
    server.close()


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    server = FakeCloud()
    yield server
    server.close()


@pytest.fixture
def device(tmp_path: Path, redis_server: str, camera: FakeCamera, cloud: FakeCloud) -> Iterator[Device]:
    """Not started yet."""
    one = Device(tmp_path, redis_server, camera, cloud)
    yield one
    one.kill()
    print(one.log())  # pytest shows it where the test failed
