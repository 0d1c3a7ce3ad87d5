"""One real process, kept running as Compose's `restart: unless-stopped` would, and ended for certain.

Each child leads a process group of its own (so Ctrl-C reaches only the starter, and a stop reaches the child's
children too), and the kernel kills it should the starter die without a word (PR_SET_PDEATHSIG).
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from emulation.console import Output

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before any fork
_FIRST_DELAY = 0.1  # seconds before the first restart, doubled each time, as the Docker Engine does
_STEADY = 10.0  # seconds of running after which a restart counts as the first again
_LONGEST_LINE = 64 << 10

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LOG_LEVEL", "LOG_FORMAT", "PYTHONDONTWRITEBYTECODE")


def clean_environment(**settings: str) -> dict[str, str]:
    """What a child sees: the few things every program needs, and `settings`; not the caller's proxies or settings."""
    kept = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    return kept | {"PYTHONUNBUFFERED": "1"} | settings


def python_module(module: str, *arguments: str) -> list[str]:
    """The command line of a module under this very interpreter."""
    return [sys.executable, "-m", module, *arguments]


class DiesWith:
    """Called in a child between fork and exec: the kernel kills it when `parent` dies."""

    def __init__(self, parent: int) -> None:
        self._parent = parent

    def __call__(self) -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._parent:  # it died between fork and prctl
            os._exit(1)


class Child:
    """A named process. `env` and `argv` may be changed at any time and hold from the next start on."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        output: Output,
        *,
        cwd: Path | None = None,
        longest_delay: float = 60.0,
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.env = dict(env)
        self.starts = 0
        self.last_status: int | None = None
        self._output = output
        self._cwd = cwd
        self.longest_delay = longest_delay
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = False
        self._hold_until = 0.0
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the running process; None between two lives."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self.pid is not None

    async def start(self) -> None:
        """Starts it and keeps it running. Raises FileNotFoundError where the program is missing."""
        if self._keeper is not None and not self._keeper.done():
            return
        self._wanted = True
        self._hold_until = 0.0
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"keeps {self.name}")

    async def kill(self, *, down: float = 0.0) -> None:
        """SIGKILL, as a power cut; it starts again `down` seconds later (0: as the restart policy says)."""
        self._hold_until = asyncio.get_running_loop().time() + down
        await self._end(signal.SIGKILL, 5.0)

    async def terminate(self, *, down: float = 0.0, grace: float = 10.0) -> bool:
        """SIGTERM; it starts again `down` seconds later. True where it ended within `grace` seconds."""
        self._hold_until = asyncio.get_running_loop().time() + down
        return await self._end(signal.SIGTERM, grace)

    async def stop(self, *, grace: float = 10.0) -> bool:
        """Ends it for good: SIGTERM, SIGKILL after `grace` seconds. True where it ended in time."""
        self._wanted = False
        in_time = await self._end(signal.SIGTERM, grace)
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
            await self._end(signal.SIGKILL, 5.0)  # where a restart was under way
        return in_time

    async def freeze(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after `seconds`: a machine too busy to run it."""
        self._signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._signal(signal.SIGCONT)

    def kill_now(self) -> None:
        """SIGKILL without waiting, and no restart: the last resort of an ending starter."""
        self._wanted = False
        self._signal(signal.SIGKILL)

    async def _end(self, number: int, grace: float) -> bool:
        process = self._process
        if process is None or process.returncode is not None:
            return True
        self._signal(number)
        try:
            async with asyncio.timeout(grace):
                await process.wait()
            in_time = True
        except TimeoutError:
            in_time = False
        self._signal_group(process.pid, signal.SIGKILL)  # what is left of its group, itself included
        await process.wait()
        return in_time

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            self._signal_group(self._process.pid, number)

    @staticmethod
    def _signal_group(group: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self.argv,
            env=self.env,
            cwd=self._cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=DiesWith(os.getpid()),
        )
        self.starts += 1

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        delay = _FIRST_DELAY
        while True:
            assert self._process is not None
            began = loop.time()
            pump = asyncio.create_task(self._pump(self._process))
            self.last_status = await self._process.wait()
            await asyncio.wait({pump}, timeout=1.0)  # a grandchild may hold the pipe
            pump.cancel()
            self._signal_group(self._process.pid, signal.SIGKILL)
            if not self._wanted:
                return
            delay = _FIRST_DELAY if loop.time() - began >= _STEADY else delay
            wait = max(delay, self._hold_until - loop.time())
            delay = min(delay * 2, self.longest_delay)
            self._output.line(self.name, f"--- {_how(self.last_status)}; starts again in {wait:.1f} s ---")
            await asyncio.sleep(wait)
            await self._spawn()

    async def _pump(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        rest = b""
        while chunk := await process.stdout.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._output.line(self.name, line.decode("utf-8", "replace").rstrip())
            if len(rest) > _LONGEST_LINE:
                self._output.line(self.name, rest[:_LONGEST_LINE].decode("utf-8", "replace") + " ...")
                rest = b""
        if rest:
            self._output.line(self.name, rest.decode("utf-8", "replace").rstrip())


def _how(status: int) -> str:
    if status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    return f"ended with status {status}"
