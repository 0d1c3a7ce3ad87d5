"""Writes that survive a power cut: write beside, fsync, rename, fsync the directory.

The order is the one measured for the spool: without the directory's fsync a rename may be lost.
The services' own is visant_runtime.durable, which the host's Python does not have.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any


def sync_directory(directory: Path) -> None:
    """fsync a directory, so that the names in it are on the medium."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace `path` as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)  # a full disk must not also be littered
        raise
    sync_directory(path.parent)


def write_json(path: Path, value: Any) -> None:
    """`write_file` of readable JSON."""
    write_file(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def read_json(path: Path) -> Any | None:
    """The JSON in `path`; None when it is absent or damaged (a state file is then as good as absent)."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def remove_file(path: Path) -> None:
    """Unlink, and make it last."""
    path.unlink(missing_ok=True)
    sync_directory(path.parent)


def point(link: Path, target: str | None) -> None:
    """Make `link` a symlink to `target` in one rename; None removes it."""
    if target is None:
        remove_file(link)
        return
    beside = link.with_name(f".{link.name}.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(link)
    sync_directory(link.parent)


def sync_tree(root: Path) -> None:
    """fsync every file and directory under `root`, so that a rename of it publishes whole files."""
    for directory, _, files in os.walk(root):
        for name in files:
            descriptor = os.open(Path(directory) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_directory(Path(directory))


def publish_directory(staged: Path, final: Path) -> None:
    """Make a staged directory appear under its final name, whole or not at all; an older one goes first."""
    sync_tree(staged)
    if final.exists():
        shutil.rmtree(final)
    staged.rename(final)
    sync_directory(final.parent)
