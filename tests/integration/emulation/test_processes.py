import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from emulation.processes import Child, clean_environment
from emulation.wait import until

ROOT = Path(__file__).resolve().parents[3]


class Lines:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def line(self, name: str, text: str) -> None:
        self.seen.append(text)


Make = Callable[[str], Child]


@pytest.fixture
async def make() -> AsyncIterator[Callable[[str], tuple[Child, Lines]]]:
    children: list[Child] = []

    def build(program: str) -> tuple[Child, Lines]:
        lines = Lines()
        child = Child("it", [sys.executable, "-c", textwrap.dedent(program)], clean_environment(), lines)
        children.append(child)
        return child, lines

    yield build
    for child in children:
        await child.stop(grace=1.0)


def alive(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def true(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return condition()

    return ask


async def test_a_process_that_dies_starts_again(make: Callable[[str], tuple[Child, Lines]]) -> None:
    child, lines = make("import os, time; print('up', os.getpid()); time.sleep(60)")
    await child.start()
    await until("first life", true(lambda: len(lines.seen) == 1), within=10)
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until("second life", true(lambda: sum("up" in line for line in lines.seen) == 2), within=10)
    assert child.pid not in (None, first)
    assert any("killed by SIGKILL; starts again in 0.1 s" in line for line in lines.seen)


async def test_a_process_that_cannot_start_waits_longer_each_time(make: Callable[[str], tuple[Child, Lines]]) -> None:
    child, lines = make("raise SystemExit(78)")
    await child.start()

    def waits() -> list[str]:
        return [line for line in lines.seen if "ended with status 78" in line]

    await until("three ends", true(lambda: len(waits()) >= 3), within=20)
    assert [line.split(" in ")[1] for line in waits()[:3]] == ["0.1 s ---", "0.2 s ---", "0.4 s ---"]


async def test_a_kill_with_a_pause_keeps_it_down_that_long(make: Callable[[str], tuple[Child, Lines]]) -> None:
    child, lines = make("import time; print('up'); time.sleep(60)")
    await child.start()
    await until("up", true(lambda: "up" in lines.seen), within=10)
    began = time.monotonic()
    await child.kill(down=1.5)
    assert not child.running
    await until("up again", true(lambda: child.running), within=10, every=0.02)
    assert 1.4 < time.monotonic() - began < 4


async def test_stop_ends_a_process_that_ignores_sigterm_and_its_children(
    make: Callable[[str], tuple[Child, Lines]],
) -> None:
    child, lines = make(
        """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
        time.sleep(60)
        """
    )
    await child.start()
    await until("its child's pid", true(lambda: bool(lines.seen)), within=10)
    grandchild = int(lines.seen[0])
    assert await child.stop(grace=0.5) is False
    await until("the grandchild is gone", true(lambda: not alive(grandchild)), within=5)
    assert not child.running


async def test_nothing_outlives_a_starter_that_is_killed(tmp_path: Path) -> None:
    starter = """
import asyncio, sys
from emulation.processes import Child, clean_environment
class Out:
    def line(self, name, text): print(text, flush=True)
async def main():
    child = Child("c", [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"],
                  clean_environment(), Out())
    await child.start()
    await asyncio.sleep(60)
asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        pid = int(await asyncio.to_thread(process.stdout.readline))
        assert alive(pid)
    finally:
        process.kill()
        process.communicate()
    await until("the child is gone", true(lambda: not alive(pid)), within=5)


async def test_a_line_without_an_end_does_not_fill_the_memory(make: Callable[[str], tuple[Child, Lines]]) -> None:
    child, lines = make(
        "import sys, time; sys.stdout.write('x' * 300_000 + '\\nshort\\n'); sys.stdout.flush(); time.sleep(9)"
    )
    await child.start()
    await until("the next line", true(lambda: "short" in lines.seen[-1:]), within=10)
    assert max(len(line) for line in lines.seen) < 200_000


def test_a_child_sees_no_proxy_and_no_setting_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("DATABASE_URL", "postgres://elsewhere.example/db")
    env = clean_environment(DEVICE_ID="A")
    assert env["DEVICE_ID"] == "A" and "PATH" in env
    assert not {"HTTPS_PROXY", "DATABASE_URL"} & set(env)
