"""Who owns what of this device on the host, and who else may read or write it: what is wrong, and putting it right.

root runs the code below /opt/visant, so whoever may change it is root; the services read and write a few folders as
user 10001, and whoever takes those from them stops the pictures. (The git-based version's guide had both:
`chown -R pi:pi /opt/visant; chmod -R 755`.)
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from visantctl.host import units
from visantctl.host.env_file import SERVICE_ID, read_env_file
from visantctl.host.place import Place

_WRITE, _ALL = 0o022, 0o077
_NOT_OTHERS = 0o027


@dataclass(frozen=True)
class Wrong:
    """One file or folder, and what it should be."""

    path: Path
    uid: int
    gid: int
    mode: int
    why: str
    """`root runs it; of user 1000 and group 1000, mode 777`."""


def wrong(place: Place) -> list[Wrong]:
    """All of them; the first rule for a path counts."""
    found: dict[Path, Wrong | None] = {}
    for rule in _rules(place):
        if rule.path not in found:
            found[rule.path] = _look(rule)
    return [one for one in found.values() if one]


def mend(place: Place) -> int:
    """Put them right; returns how many. OSError where this is not root."""
    found = wrong(place)
    for one in found:
        os.chown(one.path, one.uid, one.gid, follow_symlinks=False)
        if not one.path.is_symlink():
            one.path.chmod(one.mode)
    return len(found)


@dataclass(frozen=True)
class _Rule:
    path: Path
    what: str
    forbidden: int = _WRITE
    """Bits of the mode that it must not have."""
    needed: int = 0
    """And that it must have; of a file without those for search."""
    uid: int = 0
    gid: int | None = None
    """None: any."""


def _rules(place: Place) -> Iterator[_Rule]:
    code, memory = "root runs it", "the updater's memory"
    links = (place.current, place.previous, place.root / "deployment")
    for path in (place.root, *links, place.allowed_signers, place.compose_override):
        yield _Rule(path, code)
    yield from _tree(_Rule(place.releases, code))
    for name in units.NAMES:
        yield _Rule(place.units / name, code)
        yield from _tree(_Rule(place.units / f"{name}.d", code))
    yield _Rule(place.outside("usr/local/bin/visantctl"), code)
    yield _Rule(place.env_file, "the settings", _ALL | 0o111, 0o600)
    yield from _tree(_Rule(place.state, memory))
    yield from _tree(_Rule(place.registry_login, "the registry's password", _ALL))
    yield _Rule(place.shared, "what the services are told", _WRITE, 0o755)
    secrets = place.root / "secrets"
    yield _Rule(secrets, "the services' secrets", _NOT_OTHERS, 0o750, 0, SERVICE_ID)
    if secrets.is_dir():
        for path in sorted(secrets.iterdir()):
            yield _Rule(path, "the services' secrets", _WRITE, 0o640, 0, SERVICE_ID)
    values = read_env_file(place.env_file)
    for key in ("VISANT_SPOOL", "VISANT_DEBUG_CAPTURES"):
        if values.get(key, "").startswith("/"):
            yield from _tree(_Rule(Path(values[key]), f"the services write it ({key})", 0, 0, SERVICE_ID, SERVICE_ID))


def _tree(rule: _Rule) -> Iterator[_Rule]:
    for folder, _, files in os.walk(rule.path):
        yield replace(rule, path=Path(folder))
        for name in sorted(files):
            yield replace(rule, path=Path(folder) / name)


def _look(rule: _Rule) -> Wrong | None:
    try:
        found = rule.path.lstat()
    except OSError:
        return None
    mode = right = stat.S_IMODE(found.st_mode)
    if not stat.S_ISLNK(found.st_mode):
        needed = rule.needed & ~0o111 if stat.S_ISREG(found.st_mode) else rule.needed
        right = (mode & ~rule.forbidden) | needed
    gid = found.st_gid if rule.gid is None else rule.gid
    if rule.gid is None and found.st_uid != rule.uid:
        gid = rule.uid  # a chown took both
    if (found.st_uid, found.st_gid, mode) == (rule.uid, gid, right):
        return None
    why = f"{rule.what}; of user {found.st_uid} and group {found.st_gid}, mode {mode:o}"
    return Wrong(rule.path, rule.uid, gid, right, why)
