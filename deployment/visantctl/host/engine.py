"""The Docker Engine, through its command line: bounded, and with errors told apart."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from visantctl.errors import EngineAway, EngineFailed, Problem
from visantctl.host.redact import redact

_ENV_FILE_LINE = re.compile(r"(\.env\S*: line \d+):.*")
"""Compose quotes what it cannot read of the settings, to the end of the line and further."""
_AWAY = (
    "cannot connect to the docker daemon",
    "error during connect",
    "is the docker daemon running",
    "unexpected eof",
)
_GOING = ("connection reset by peer", "broken pipe", "connection refused", " eof", "docker.sock: connect")
_WITH_VALUE = (
    "--ansi", "--env-file", "--file", "--filter", "--format", "--project-directory", "--project-name", "--pull",
    "--tail", "--wait-timeout",
)  # fmt: skip
_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_GLANCE_EVERY = 3.0


def _end_with_parent() -> None:
    # kill -9 of visantctl must not leave a `compose up` at work on its own.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Engine:
    """Runs `docker ...`. Raises EngineAway when no Engine answers and EngineFailed with its last words otherwise."""

    def __init__(self, login: Path | None = None, lock: int | None = None) -> None:
        """`login`: directory with a config.json of registry credentials; `lock`: descriptor the commands inherit."""
        self._login = login
        self._lock = lock

    def holding(self, lock: int) -> Engine:
        """The same, its commands keep the update lock until they have ended."""
        return Engine(self._login, lock)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Environment for docker: nothing of the caller's COMPOSE_* settings gets in."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
        if self._login is not None and (self._login / "config.json").is_file():
            kept["DOCKER_CONFIG"] = str(self._login)
        return {**kept, **(extra or {})}

    def run(
        self,
        *arguments: str,
        timeout: float = 60.0,
        env: Mapping[str, str] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> str:
        """Standard output of one docker command; `timeout` in seconds.

        `meanwhile` is called every few seconds; what it raises ends the command and comes out of here.
        """
        process = self._started(arguments, subprocess.PIPE, subprocess.PIPE, env)
        try:
            out, err = _wait(process, timeout, meanwhile)
        except subprocess.TimeoutExpired:
            raise EngineFailed(f"docker {_short(arguments)}: no answer within {timeout:g} s") from None
        finally:
            if process.poll() is None:
                _end(process)
        if process.returncode != 0:
            raise self._failure(arguments, err or out)
        return out

    def show(self, *arguments: str, tell: Callable[[str], None], timeout: float) -> None:
        """`run` for a command that shows its progress on a terminal only: `tell` gets what it prints, as it comes."""
        deadline = time.monotonic() + timeout
        ours, its = os.openpty()
        with os.fdopen(ours, "rb", buffering=0) as terminal, tempfile.TemporaryFile() as complaints:
            try:
                process = self._started(arguments, its, complaints.fileno())
            finally:
                os.close(its)
            try:
                while shown := _printed(terminal, deadline):
                    tell(shown)
                process.wait(max(1.0, deadline - time.monotonic()))
            except (TimeoutError, subprocess.TimeoutExpired):
                raise EngineFailed(f"docker {_short(arguments)}: no answer within {timeout:g} s") from None
            finally:
                if process.poll() is None:
                    _end(process)
            complaints.seek(0)
            if process.returncode != 0:
                raise self._failure(arguments, complaints.read().decode(errors="replace"))

    def _started(
        self, arguments: tuple[str, ...], output: int, errors: int, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        try:
            return subprocess.Popen(
                ["docker", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                text=True,
                errors="replace",
                env=self.environment(env),
                start_new_session=True,
                preexec_fn=_end_with_parent,
                pass_fds=() if self._lock is None else (self._lock,),
            )
        except FileNotFoundError:
            raise Problem("docker is not installed: run install_device.sh") from None

    def succeeds(self, *arguments: str, timeout: float = 60.0) -> bool:
        """True when the command exits 0; EngineAway still passes through."""
        try:
            self.run(*arguments, timeout=timeout)
        except EngineFailed:
            return False
        return True

    def answers(self) -> bool:
        """True when an Engine answers now."""
        try:
            self.run("version", "--format", "{{.Server.Version}}", timeout=15)
        except (EngineAway, EngineFailed):
            return False
        return True

    def wait(self, patience: float) -> None:
        """Return once the Engine answers; EngineAway after `patience` seconds."""
        deadline = time.monotonic() + patience
        while not self.answers():
            if time.monotonic() >= deadline:
                raise EngineAway(f"the Docker Engine does not answer for {patience:g} s: systemctl status docker")
            time.sleep(1)

    def architecture(self) -> str:
        """`arm64`, `amd64`, ...: as the Engine calls it."""
        return self.run("version", "--format", "{{.Server.Arch}}").strip()

    def data_root(self) -> Path:
        """Directory that holds the images."""
        return Path(self.run("info", "--format", "{{.DockerRootDir}}").strip())

    def _failure(self, arguments: tuple[str, ...], output: str) -> Problem:
        words = [redact(without_settings(line.strip())) for line in output.splitlines() if line.strip()]
        last = " | ".join(words[-3:])[-600:] or "no reason given"
        lower = output.lower()
        # A command that the dying Engine cut short says so in many ways: ask the Engine itself.
        if any(word in lower for word in _AWAY) or (
            arguments[:1] != ("version",) and any(word in lower for word in _GOING) and not self.answers()
        ):
            return EngineAway(f"the Docker Engine does not answer: {last}")
        return EngineFailed(f"docker {_short(arguments)}: {last}")


def _wait(process: subprocess.Popen[str], timeout: float, meanwhile: Callable[[], None] | None) -> tuple[str, str]:
    if meanwhile is None:
        return process.communicate(timeout=timeout)
    deadline = time.monotonic() + timeout
    while True:
        try:
            return process.communicate(timeout=_GLANCE_EVERY)
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                raise
        meanwhile()


def _printed(terminal: IO[bytes], deadline: float) -> str:
    """The next piece; empty at the end, which a terminal whose other side is closed tells by EIO."""
    while not select.select([terminal], [], [], 1.0)[0]:
        if time.monotonic() >= deadline:
            raise TimeoutError
    try:
        return terminal.read(1 << 16).decode(errors="replace")
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return ""


def _short(arguments: tuple[str, ...]) -> str:
    """The command without its options: those of Compose come first and have their value in a word of its own."""
    plain, skip = [], False
    for word in arguments:
        if not skip and not word.startswith(("-", "/")):
            plain.append(word)
        skip = not skip and word in _WITH_VALUE
    return " ".join(plain[:4])


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def without_settings(line: str) -> str:
    """What Compose says of a line of `.env.device` that it cannot read, without the line."""
    return _ENV_FILE_LINE.sub(r"\1: not KEY=VALUE, or a quote does not end", line)
