"""`visant-cloud run --workers N`: N processes on one listening socket, and the one that keeps them running.

Each worker is a whole cloud. The supervisor serves nothing: it starts them, starts one that ended again, passes the
signal on and waits, and its heartbeat says whether each worker makes progress. Workers end with their supervisor,
whatever ended it: they hold the other end of a pipe.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from visant_cloud.settings import CloudSettings
from visant_runtime import logs
from visant_runtime.health import health
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.settings import fail

log = structlog.get_logger()

MOST = 64
_GRACE = 15.0
"""Seconds after the signal; a worker takes 8 at most."""
_STEADY = 10.0
"""Seconds that a worker must have lived to be started again at once."""
_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before it is started again otherwise."""
_PROGRESS = 120.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
Work = Callable[[int, int], int]
"""Of (the worker's number, the descriptor whose end says that the supervisor is gone): the exit status."""


def wanted(arguments: list[str]) -> int:
    """N of `--workers N`; 1 where it is not said. Ends the process with one line where it cannot be read."""
    if not arguments:
        return 1
    option, *words = arguments
    if option != "--workers":
        fail(f"run {' '.join(arguments)[:100]!r}: it takes --workers N and nothing else")
    word = " ".join(words)
    if not (word.isascii() and word.isdigit() and 1 <= int(word) <= MOST):
        fail(f"--workers {word[:100]!r}: a number from 1 to {MOST} must follow, e.g. --workers 2")
    return int(word)


def check(count: int, settings: CloudSettings) -> None:
    """Ends the process with one line where so many cannot work together."""
    if (count > 1 and settings.database_url is None) or (count > 1 and settings.engine_url().startswith("sqlite")):
        fail(f"--workers {count} needs PostgreSQL, for SQLite serves one process: set DATABASE_URL=postgresql://...")


def heartbeat_of(path: Path, number: int) -> Path:
    """Where a worker beats, beside its supervisor."""
    return path.with_name(f"{path.name}.{number}")


def watch(supervisor: int, stop: Stop) -> None:
    """Sets `stop` when the supervisor is gone."""
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(supervisor)
        stop.set()

    loop.add_reader(supervisor, gone)


class Supervisor:
    """Lives until it is told to end and the last worker has ended."""

    def __init__(self, count: int, work: Work, heartbeat: Heartbeat, beats: Path) -> None:
        self._work = work
        self._heartbeat = heartbeat
        self._beats = beats
        self._count = count
        self._due = dict.fromkeys(range(1, count + 1), 0.0)
        """number -> when it is to be started."""
        self._alive: dict[int, tuple[int, float]] = {}
        """pid -> (number, when it was started)."""
        self._failed = dict.fromkeys(range(1, count + 1), 0)
        self._status = 0
        self._read, self._write = os.pipe()

    def run(self) -> int:
        """The exit status: 0 where every worker ended well after the signal."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        for number in self._due:
            self._heartbeat.expect(f"worker {number}", _PROGRESS)
        ending: float | None = None
        while self._alive or ending is None:
            now = time.monotonic()
            if ending is None:
                for number in [number for number, at in self._due.items() if at <= now]:
                    del self._due[number]
                    self._alive[self._start(number, before)] = number, now
            elif now - ending > _GRACE:
                self._tell(signal.SIGKILL)
            got = signal.sigtimedwait(_SIGNALS, 1.0)
            if got is not None and got.si_signo != signal.SIGCHLD and ending is None:
                ending = time.monotonic()
                self._tell(signal.SIGTERM)
            self._collect(ending is not None)
            self._beat()
        return self._status

    def _tell(self, number: signal.Signals) -> None:
        for pid in self._alive:
            os.kill(pid, number)

    def _start(self, number: int, mask: set[int | signal.Signals]) -> int:
        logs.flush()
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            os.close(self._write)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            status = self._work(number, self._read)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException as error:
            log.critical("ended by an error", worker=number, error=f"{type(error).__name__}: {error}", exc_info=error)
        finally:
            logs.flush()
            os._exit(status)

    def _collect(self, ending: bool) -> None:
        while self._alive:
            pid, state = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            status = os.waitstatus_to_exitcode(state)
            if pid not in self._alive:
                continue  # a decoder of a worker that was killed: in a container its orphans are ours
            number, began = self._alive.pop(pid)
            if ending:
                self._status = self._status or int(status != 0)
                continue
            lived = time.monotonic() - began
            self._failed[number] = 0 if lived > _STEADY else self._failed[number] + 1
            pause = _PAUSES[min(self._failed[number], len(_PAUSES)) - 1] if self._failed[number] else 0.0
            self._due[number] = time.monotonic() + pause
            log.error("a worker ended and is started again", worker=number, status=status, pause_seconds=pause)

    def _beat(self) -> None:
        for number in range(1, self._count + 1):
            status, line = health(heartbeat_of(self._beats, number))
            if status == 0:
                self._heartbeat.beat(f"worker {number}")
            self._heartbeat.degraded(f"worker {number}", line if status or line.startswith("degraded") else None)
