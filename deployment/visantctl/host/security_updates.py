"""Security updates of the system that wait: how many, and since when.

apt works out the answer, which takes seconds of a Pi's processor: asked again only once the lists of packages or what
is installed have changed, about once a day, and not while the host starts. Nobody waits for it.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from visantctl.host import durable

_ASK = ("nice", "-n", "19", "apt-get", "--simulate", "dist-upgrade")
_MOST = 4 << 20
"""Bytes of an answer that are read."""
_WAITS = re.compile(r"^Inst \S+ .*\([^)]*(?:Debian-Security:|-security)[^)]*\)", re.MULTILINE)
"""apt-get(8) --simulate: `Inst name [installed] (new Debian-Security:12/oldstable-security [arm64])`."""


@dataclass(frozen=True)
class Waiting:
    """`pending`: packages, None where apt gave no answer. `since`: when the first of them was seen, as log.now has it;
    None: not by a clock that was right."""

    pending: int | None
    since: str | None


class Question(Protocol):
    """What apt was asked."""

    def answer(self) -> str | None:
        """What it printed; None where it failed, or is not through yet: then it is ended."""


class SecurityUpdates:
    """`note`: file of what apt said last. `ask` begins a question (tests replace it)."""

    def __init__(self, note: Path, root: Path, ask: Callable[[], Question] | None = None) -> None:
        self._note = note
        self._root = root
        self._ask = ask or AptQuestion
        self._asked: tuple[list[int], Question] | None = None

    def waiting(self, now: str | None, *, may_ask: bool) -> Waiting | None:
        """What is known; an answer of apt's counts at the next call. `now`: None where the clock may be wrong.

        None: there is no apt here, or nothing is known yet.
        """
        key = _state_of_apt(self._root)
        if key is None:
            return None
        value = durable.read_json(self._note)
        before = value if isinstance(value, dict) else {}
        told, pending, since = before.get("key"), before.get("pending"), before.get("since")
        if self._asked is not None:
            (told, question), self._asked = self._asked, None
            pending = count(question.answer())
        pending = pending if isinstance(pending, int) and pending >= 0 else None
        since = ((since if isinstance(since, str) else None) or now) if pending else None
        if told != key and may_ask:
            self._asked = key, self._ask()
        if told is None:
            return None
        after = {"key": told, "pending": pending, "since": since}
        if after != before:
            durable.write_json(self._note, after)
        return Waiting(pending, since)


class AptQuestion:
    """A process of apt's; its answer comes into memory, not onto the card."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.memfd_create("visant-apt"), "w+b")
        self._process = subprocess.Popen(
            _ASK,
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )

    def answer(self) -> str | None:
        """As `Question` says."""
        with self._out:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            if self._process.returncode != 0:
                return None
            self._out.seek(0)
            return self._out.read(_MOST).decode(errors="replace")


def count(simulated: str | None) -> int | None:
    """Packages that come from a security archive, of what `apt-get --simulate` printed."""
    return None if simulated is None else len(_WAITS.findall(simulated))


def _state_of_apt(root: Path) -> list[int] | None:
    """Changes with its lists and with what is installed; None where there is no apt."""
    try:
        return [(root / path).stat().st_mtime_ns for path in ("var/lib/apt/lists", "var/lib/dpkg/status")]
    except OSError:
        return None
