"""Health is progress: each loop beats when it has finished a round, each piece of work in hand has a time by which it
must be done, and `health` (health.py) looks at both.

Standard library only. The file lies on a tmpfs (no wear of the card) and is replaced by rename, without an fsync:
what was alive before a power cut is no news after it. A file that cannot be written after the start costs one line and
whoever reads it its news, never the work.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from visant_runtime.health import late_parts

log = logging.getLogger(__name__)

_WRITE_EVERY = 1.0  # seconds; loops may beat thirty times as often


class Heartbeat:
    """One per process; safe to call from threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._loops: dict[str, tuple[float, float]] = {}
        self._works: dict[int, tuple[str, float, float]] = {}
        self._number = 0
        self._degraded: dict[str, str] = {}
        self._facts: dict[str, Any] = {}
        self._written = 0.0
        self._failing = False

    def expect(self, loop: str, max_age: float) -> None:
        """From now on `loop` must beat at least every `max_age` seconds. Counts as a beat."""
        with self._lock:
            self._loops[loop] = (time.clock_gettime(time.CLOCK_BOOTTIME), max_age)
        self._write(force=True)

    def beat(self, loop: str) -> None:
        """`loop`, named to `expect` before, has finished a round."""
        with self._lock:
            self._loops[loop] = (time.clock_gettime(time.CLOCK_BOOTTIME), self._loops[loop][1])
        self._write()

    def done(self, loop: str) -> None:
        """`loop` has ended as it should and is expected no more."""
        with self._lock:
            self._loops.pop(loop, None)
        self._write(force=True)

    @contextmanager
    def work(self, name: str, within: float) -> Iterator[None]:
        """A piece of work that a loop's beats say nothing about: it must end `within` seconds."""
        with self._lock:
            self._number += 1
            number = self._number
            self._works[number] = name, time.clock_gettime(time.CLOCK_BOOTTIME), within
        try:
            yield
        finally:
            with self._lock:
                del self._works[number]

    def late(self, *, lock_within: float = -1) -> list[str]:
        """What stands still, a line each. `lock_within`: seconds until the heartbeat itself counts as that."""
        if not self._lock.acquire(timeout=lock_within):
            return [f"the heartbeat cannot be written to {self._path}"]
        try:
            found = self._as_json()
        finally:
            self._lock.release()
        return late_parts(found)

    def degraded(self, part: str, reason: str | None) -> None:
        """`part` does not work for a reason outside this process; None: it works. Degraded is still healthy."""
        with self._lock:
            before = self._degraded.get(part)
            if reason is None:
                self._degraded.pop(part, None)
            else:
                self._degraded[part] = reason
        self._write(force=before != reason)

    def reasons(self) -> dict[str, str]:
        """What is degraded now: part -> reason."""
        with self._lock:
            return dict(self._degraded)

    def fact(self, name: str, value: Any) -> None:
        """A figure or word, JSON-able, for whoever reads the file."""
        with self._lock:
            self._facts[name] = value
        self._write()

    def write(self) -> None:
        """Now, whatever was written a moment ago. Raises OSError, as no other method does."""
        with self._lock:
            self._replace()

    def _write(self, *, force: bool = False) -> None:
        with self._lock:
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            if not force and now - self._written < _WRITE_EVERY:
                return
            self._written = now
            before = self._failing
            try:
                self._replace()
                self._failing = False
            except OSError as error:
                self._failing = True
                reason = error.strerror or str(error)
        if self._failing and not before:
            log.warning("the heartbeat %s cannot be written (%s): `health` will say unhealthy", self._path, reason)
        elif before and not self._failing:
            log.info("the heartbeat %s is written again", self._path)

    def _replace(self) -> None:
        """The lock is held."""
        draft = self._path.with_name(self._path.name + ".new")
        draft.write_text(json.dumps(self._as_json()))
        draft.replace(self._path)

    def _as_json(self) -> dict[str, Any]:
        """The lock is held."""
        works = [{"name": name, "at": at, "max_age": within} for name, at, within in self._works.values()]
        return {
            "pid": os.getpid(),
            "at": time.clock_gettime(time.CLOCK_BOOTTIME),
            "loops": {name: {"at": at, "max_age": age} for name, (at, age) in self._loops.items()},
            "works": works,
            "degraded": self._degraded,
            "facts": self._facts,
        }
