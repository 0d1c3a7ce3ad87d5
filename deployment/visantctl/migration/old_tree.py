"""The old checkout lies in the same folder as this version. Once it is not needed it is put aside, never deleted."""

from __future__ import annotations

from pathlib import Path

from visantctl.host.place import Place

_OURS = frozenset(
    (".env.device", "allowed_signers", "compose.override.yaml", "current", "debug_captures", "previous", "registry",
     "releases", "secrets", "shared", "spool", "state", "old", "hotspot")
)  # fmt: skip
"""What belongs to this version below /opt/visant; `deployment` is a link here and a folder of the old checkout."""


def put_aside(place: Place) -> None:
    """Move the checkout to `/opt/visant/old`; nothing where there is none."""
    if not _is_checkout(place.root):
        return
    old = place.root / "old"
    old.mkdir(exist_ok=True)
    # `.git` last: as long as it is there a second call goes on.
    for path in sorted(place.root.iterdir(), key=lambda one: one.name == ".git"):
        if path.name not in _OURS and not path.is_symlink():
            path.rename(old / path.name)
    link = place.root / "deployment"
    if not link.exists():
        link.symlink_to("current/deployment")


def put_back(place: Place) -> None:
    """The other way."""
    old = place.root / "old"
    if not old.is_dir():
        return
    link = place.root / "deployment"
    if link.is_symlink() and (old / "deployment").exists():
        link.unlink()
    for path in sorted(old.iterdir()):
        if not (place.root / path.name).exists():
            path.rename(place.root / path.name)
    if not any(old.iterdir()):
        old.rmdir()


def _is_checkout(root: Path) -> bool:
    return (root / ".git").exists() or (root / "venv").is_dir()
