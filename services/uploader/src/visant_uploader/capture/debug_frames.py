"""Copies of the newest pictures for a person to look at, made beside the road: nothing waits for one.

The folder may lie on a stick or a share that is slow or hangs. A thread of its own writes; what it does not get to is
dropped and counted. It is a daemon: a write that never returns holds up no end of the process.
"""

import threading
from collections import deque
from datetime import datetime
from pathlib import Path
from queue import Full, Queue

import structlog

from visant_uploader.counters import Counters

log = structlog.get_logger()

KEPT = 100
WAITING = 4
"""Copies that wait for the medium, each a picture in memory."""


class DebugFrames:
    """A failure here harms nothing and is said once. No folder: does nothing."""

    def __init__(self, folder: Path | None, counters: Counters) -> None:
        self._folder = folder
        self._counters = counters
        self._waiting: Queue[tuple[str, bytes]] = Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._names: deque[str] | None = None
        self._said: set[str] = set()

    def save(self, jpeg: bytes, captured_at: datetime, trigger_id: str) -> None:
        """`20261122T140530.123456Z_<trigger>.jpg`, some time later or not at all. Never blocks; one caller."""
        if self._folder is None:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(self._folder,), name="debug-frames", daemon=True)
            self._thread.start()
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in trigger_id)[:80]
        try:
            self._waiting.put_nowait((f"{captured_at:%Y%m%dT%H%M%S.%fZ}_{safe}.jpg", jpeg))
        except Full:
            self._dropped("it takes no more copies, they are left out: is the medium slow, or does it hang?")

    def _run(self, folder: Path) -> None:
        while True:
            name, jpeg = self._waiting.get()
            try:
                self._write(folder, name, jpeg)
            except OSError as error:
                self._dropped(f"it cannot be written ({error.strerror})")
            else:
                self._counters.add("debug_copies_saved")

    def _dropped(self, why: str) -> None:
        self._counters.add("debug_copies_dropped")
        if why not in self._said:
            self._said.add(why)
            log.warning("SAVE_FRAMES_DIR is of no use, no more is said of this", problem=why)

    def _write(self, folder: Path, name: str, jpeg: bytes) -> None:
        if self._names is None:
            folder.mkdir(parents=True, exist_ok=True)
            self._names = deque(sorted(path.name for path in folder.glob("*.jpg")))
        draft = folder / ".newest"
        draft.write_bytes(jpeg)
        draft.replace(folder / name)
        # by order of arrival, not by name: a clock set back must not delete the picture just taken
        self._names.append(name)
        while len(self._names) > KEPT:
            (folder / self._names.popleft()).unlink(missing_ok=True)
