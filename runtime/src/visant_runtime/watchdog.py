"""A thread that ends the process when its work stands still: a restart policy brings that back, but no unhealthy one.

It needs nothing that can stand still itself: no event loop, no file, no lock without an end. What it cannot end is a
thread inside a kernel that waits for a device; then the heartbeat stays as it is, and `health` tells its age.
"""

import os
import select
import threading
import time

from visant_runtime.heartbeat import Heartbeat

EX_SOFTWARE = 70
"""sysexits.h: the process found itself broken."""
PERSISTS = 5
"""Looks in a row that must find it so: a process that was frozen (docker pause, a debugger) comes back late everywhere,
and is well a moment later."""
_EVERY = 1.0
_LOCK = 1.0
"""Seconds: a heartbeat that nobody could write for so long is late as a whole."""


class Watchdog:
    """Of one heartbeat."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat
        self._found = 0

    def look(self) -> str | None:
        """Why the process must end, in one line; None: it need not."""
        late = self._heartbeat.late(lock_within=_LOCK)
        self._found = self._found + 1 if late else 0
        if self._found < PERSISTS:
            return None
        return f"stands still, ends and is started again: {'; '.join(late)}"

    def run(self) -> None:
        """Looks, and ends the process."""
        while (line := self.look()) is None:
            time.sleep(_EVERY)
        _end(f"[CRITICAL] {line}", EX_SOFTWARE)


def watch_over(heartbeat: Heartbeat) -> None:
    """A watchdog from now on, in a thread that ends with the process."""
    threading.Thread(target=Watchdog(heartbeat).run, name="watchdog", daemon=True).start()


def end_within(seconds: float, status: int) -> threading.Timer:
    """Ends the process with `status` unless the timer is cancelled before."""
    line = f"[WARNING] a thread hangs: ended without it, {seconds:.0f} s after all else"
    timer = threading.Timer(seconds, _end, (line, status))
    timer.daemon = True
    timer.start()
    return timer


def _end(line: str, status: int) -> None:
    """At once, whatever other threads do."""
    # what reads our output may stand still as well; a short line goes whole into a pipe that has room
    if select.select([], [2], [], 0.5)[1]:
        os.write(2, f"{line}\n".encode()[:4000])
    os._exit(status)
