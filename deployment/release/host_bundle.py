"""The files of a release that live on the host, as one reproducible tar.gz."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

_TOP = ("compose.yaml", ".env.device.example")
_TOOLS = "release"
_CACHES = ("__pycache__", ".mypy_cache", ".ruff_cache")


def files(tree: Path, compose: Path | None = None) -> Iterator[tuple[str, Path]]:
    """(name in the bundle, file); `compose` stands in for the tree's own compose.yaml."""
    yield "compose.yaml", compose or tree / "compose.yaml"
    for name in _TOP[1:]:
        if (tree / name).is_file():
            yield name, tree / name
    deployment = tree / "deployment"
    for path in sorted(deployment.rglob("*")):
        parts = path.relative_to(deployment).parts
        if path.is_file() and parts[0] != _TOOLS and not any(part in _CACHES for part in parts):
            yield f"deployment/{'/'.join(parts)}", path


def build(tree: Path, compose: Path | None = None) -> bytes:
    """The same tree always gives the same bytes: no times, no owners, sorted names."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, path in files(tree, compose):
            content = path.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
