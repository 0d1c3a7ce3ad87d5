"""A process whose work stands still ends, and nothing that hangs in a thread holds up its end."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from visant_runtime import watchdog
from visant_runtime.health import health
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.watchdog import EX_SOFTWARE, PERSISTS, Watchdog


@pytest.fixture
def heart(tmp_path: Path) -> Heartbeat:
    return Heartbeat(tmp_path / "beat")


def looks(dog: Watchdog, times: int) -> list[str | None]:
    return [dog.look() for _ in range(times)]


def test_what_goes_on_is_left_alone(heart: Heartbeat) -> None:
    heart.expect("loop", 60)
    with heart.work("flush", 60):
        assert looks(Watchdog(heart), 3 * PERSISTS) == [None] * 3 * PERSISTS


def test_a_loop_that_beats_no_more_ends_the_process_and_is_named(heart: Heartbeat) -> None:
    heart.expect("loop", 0)
    *before, last = looks(Watchdog(heart), PERSISTS)
    assert before == [None] * (PERSISTS - 1)
    assert last is not None and "loop last finished" in last


def test_a_piece_of_work_that_does_not_end_is_late_whatever_the_loop_beats(heart: Heartbeat) -> None:
    heart.expect("loop", 60)
    with heart.work("flush", 0):
        heart.beat("loop")
        heart.write()
        assert looks(Watchdog(heart), PERSISTS)[-1] is not None
        status, line = health(heart._path)
        assert status == 1
        assert "flush began" in line
    heart.write()
    assert health(heart._path) == (0, "healthy")


def test_a_process_that_comes_back_late_and_goes_on_is_left_alone(heart: Heartbeat) -> None:
    heart.expect("loop", 0)
    dog = Watchdog(heart)
    assert looks(dog, PERSISTS - 1) == [None] * (PERSISTS - 1)
    heart.done("loop")
    heart.expect("loop", 60)
    assert looks(dog, 1) == [None]
    heart.expect("loop", 0)
    assert looks(dog, PERSISTS - 1) == [None] * (PERSISTS - 1), "the count begins anew"


def test_a_heartbeat_that_cannot_be_written_is_late(heart: Heartbeat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_LOCK", 0.01)
    with heart._lock:
        line = looks(Watchdog(heart), PERSISTS)[-1]
    assert line is not None and "cannot be written" in line


def ended(tmp_path: Path, code: str) -> tuple[int, str]:
    """(exit status, what it wrote) of a process that says when it is ready, and ends by itself."""
    script = tmp_path / "process.py"
    script.write_text(textwrap.dedent(code))
    command = [sys.executable, str(script), str(tmp_path / "beat")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        said = process.stdout.read()
        return process.wait(60), said


def test_a_process_whose_event_loop_hangs_ends(tmp_path: Path) -> None:
    status, said = ended(
        tmp_path,
        """
        import sys, time
        from pathlib import Path
        from visant_runtime import lifecycle, watchdog
        from visant_runtime.heartbeat import Heartbeat

        watchdog._EVERY = 0.01
        heart = Heartbeat(Path(sys.argv[1]))

        async def work(stop):
            heart.expect("loop", 0.5)
            watchdog.watch_over(heart)
            print("ready", flush=True)
            time.sleep(1000)

        sys.exit(lifecycle.run(work))
        """,
    )
    assert status == EX_SOFTWARE
    assert said.startswith("[CRITICAL] stands still, ends and is started again: loop last finished")


@pytest.mark.parametrize(("ending", "status"), [("raise ValueError('dead')", 1), ("return", 0)])
def test_a_thread_that_hangs_holds_up_no_end(tmp_path: Path, ending: str, status: int) -> None:
    found, said = ended(
        tmp_path,
        f"""
        import asyncio, sys, threading, time
        from visant_runtime import lifecycle

        lifecycle._LAST = 0.2
        hangs = threading.Event()

        async def work(stop):
            task = asyncio.create_task(asyncio.to_thread(lambda: (hangs.set(), time.sleep(1000))))
            while not hangs.is_set():
                await asyncio.sleep(0.01)
            print("ready", flush=True)
            task.cancel()
            {ending}

        sys.exit(lifecycle.run(work))
        """,
    )
    assert found == status
    assert "a thread hangs" in said
