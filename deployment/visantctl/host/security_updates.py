"""Security updates of the system that wait: how many, and since when.

apt works out the answer, which costs a second of a Pi's processor and more: asked again only once the lists of packages
or what is installed have changed, about once a day, and not while the host starts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from visantctl.host import durable
from visantctl.host.programs import ask

_PATIENCE = 30.0
"""Seconds."""
_WAITS = re.compile(r"^Inst \S+ .*\([^)]*(?:Debian-Security:|-security)[^)]*\)", re.MULTILINE)
"""apt-get(8) --simulate: `Inst name [installed] (new Debian-Security:12/oldstable-security [arm64])`."""


@dataclass(frozen=True)
class Waiting:
    """`pending`: packages. `since`: when the first of them was seen, as log.now has it; None: not by a clock that was
    right."""

    pending: int | None
    since: str | None


def waiting(note: Path, root: Path, now: str | None, *, may_ask: bool) -> Waiting | None:
    """What is known. `note`: file of what apt said last. `now`: the time, None where the clock may be wrong.

    None: there is no apt here, or it was not asked yet.
    """
    key = [_changed(root / "var/lib/apt/lists"), _changed(root / "var/lib/dpkg/status")]
    if None in key:
        return None
    value = durable.read_json(note)
    before = value if isinstance(value, dict) else {}
    known, since = before.get("pending"), before.get("since")
    known = known if isinstance(known, int) and known >= 0 else None
    since = since if isinstance(since, str) and known else None
    if before.get("key") != key and may_ask:
        known = count(ask("nice", "-n", "19", "apt-get", "--simulate", "dist-upgrade", timeout=_PATIENCE))
    elif not before:
        return None
    since = (since or now) if known else None
    after = {"key": key if may_ask else before.get("key"), "pending": known, "since": since}
    if after != before:
        durable.write_json(note, after)
    return Waiting(known, since)


def count(simulated: str | None) -> int | None:
    """Packages that come from a security archive, of what `apt-get --simulate` printed."""
    return None if simulated is None else len(_WAITS.findall(simulated))


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
