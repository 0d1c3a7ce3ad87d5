"""The services' log lines on our standard output, which is the journal's."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import threading
import time
from typing import IO

from visantctl.wiring import Device

_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\r")
"""Compose clears lines even without a terminal, and journalctl shows a line with such bytes as a blob."""
_FIRST_LINES = "50"
"""Old lines a service at a start; what was there before is in the journal already."""


class Follower:
    """A `docker compose logs --follow` that is started again whenever it ends."""

    def __init__(self, device: Device, since: str = "") -> None:
        """`since`: a time in RFC 3339; empty for the newest lines."""
        self._device = device
        self._process: subprocess.Popen[bytes] | None = None
        self._copying = threading.Thread()
        self.since = since
        self.keep_up()

    @property
    def follows(self) -> bool:
        """False once it has ended, as it does when no container runs or all were replaced."""
        return self._process is not None and self._process.poll() is None

    def keep_up(self) -> None:
        """Follow again where the following has ended."""
        if self.follows:
            return
        stack = self._device.stack(self._device.place.linked_version(self._device.place.current) or "")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        # A moment that lies ahead, because the clock was set back, would silence the log until it comes.
        which = ["--since", self.since] if "" < self.since <= now else ["--tail", _FIRST_LINES]
        self.since = now
        self._process = subprocess.Popen(
            ["docker", *stack.arguments, "logs", "--follow", "--no-color", *which],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._device.engine.environment(stack.environment),
        )
        self._copying = threading.Thread(target=_copy, args=(self._process.stdout,), daemon=True)
        self._copying.start()

    def end(self) -> None:
        """Stop following."""
        if self._process is not None and self._process.poll() is None:
            self.since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._copying.is_alive():  # it would take signals that the main thread keeps for a successor
            self._copying.join(5)


def _copy(source: IO[bytes]) -> None:
    """Line by line, until it ends; when our own output is gone the lines are still read, so that nothing blocks."""
    with source:
        for line in source:
            with contextlib.suppress(OSError):
                sys.stdout.buffer.write(_CONTROL.sub(b"", line))
                sys.stdout.buffer.flush()
