"""Copies of the newest pictures for a person to look at. A failure here harms nothing and is said once."""

import threading
from collections import deque
from datetime import datetime
from pathlib import Path

import structlog

log = structlog.get_logger()

KEPT = 100


class DebugFrames:
    """Blocking; call from threads."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._names: deque[str] | None = None
        self._said = False
        self._guard = threading.Lock()

    def save(self, jpeg: bytes, captured_at: datetime, trigger_id: str) -> None:
        """`20261122T140530.123456Z_<trigger>.jpg`; does nothing where no folder is set."""
        if self._folder is None:
            return
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in trigger_id)[:80]
        name = f"{captured_at:%Y%m%dT%H%M%S.%fZ}_{safe}.jpg"
        with self._guard:
            try:
                self._write(self._folder, name, jpeg)
            except OSError as error:
                if not self._said:
                    log.warning("SAVE_FRAMES_DIR cannot be written, no more is said of it", error=error.strerror)
                self._said = True

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
