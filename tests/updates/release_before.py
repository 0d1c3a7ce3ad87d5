"""The last release before modules were moved and renamed: what devices run that update to this tree's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.updates.shop import SERVICES, TREE

COMMIT = "7f0ad7524627732430fb7e7c0725c03d4c099d6e"
"""Of 2026-11-25. It stays this one: what follows it has other file names."""
TAG = f"before-{COMMIT[:7]}"
IMAGES = {service: f"visant/{service}:{TAG}" for service in (*SERVICES, "redis")}
"""Kept on the Engine: they never change."""


def unpack(folder: Path) -> Path:
    """Its tree, below `folder`."""
    tree = folder / TAG
    tree.mkdir()
    archive = subprocess.run(["git", "archive", COMMIT], cwd=TREE, capture_output=True, check=False)
    if archive.returncode != 0:
        said = archive.stderr.decode().strip()
        pytest.fail(f"no commit {COMMIT[:7]} here (a shallow clone? git fetch --unshallow): {said}", pytrace=False)
    subprocess.run(["tar", "--extract", "--directory", str(tree)], input=archive.stdout, check=True)
    return tree


def build(tree: Path) -> None:
    """Its images, by its own Dockerfiles, unless they are here."""
    here = subprocess.run(["docker", "image", "inspect", *IMAGES.values()], capture_output=True, check=False)
    if here.returncode == 0:
        return
    done = subprocess.run(
        [str(tree / "tests/containers/images.sh"), "device"],
        env={**os.environ, "TAG": TAG, "REVISION": COMMIT, "PROGRESS": "plain"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
