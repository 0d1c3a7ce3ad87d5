"""These tests need a Docker Engine and the images of `make images`: tests/containers/test.sh sees to both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.stack import Stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """An empty project of this test's own."""
    with Stack(tmp_path) as made:
        yield made
