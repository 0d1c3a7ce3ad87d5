"""The moment in which one release's visantctl becomes the next one's."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from visantctl.service import run


def hand_over(stopping: threading.Event) -> None:
    device: Any = SimpleNamespace(
        place=SimpleNamespace(current=Path("/nowhere")), log=SimpleNamespace(info=lambda _line: None)
    )
    run._hand_over(device, "2.0.1", stopping)


_IN_A_PROCESS_OF_ITS_OWN = """
import os, signal, sys, threading
from pathlib import Path
from types import SimpleNamespace
from visantctl.service import run

heard = []
signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))

def execv(*_):
    os.kill(os.getpid(), signal.SIGTERM)  # systemctl stop, at the worst moment
    before = len(heard)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])  # what the second does once it listens
    print(before, len(heard))

os.execv = execv
device = SimpleNamespace(place=SimpleNamespace(current=Path("/nowhere")), log=SimpleNamespace(info=lambda _line: None))
run._hand_over(device, "2.0.1", threading.Event())
"""
"""The tests' own process has other threads, which would take the signal."""


def test_a_signal_between_the_two_waits_until_the_second_listens() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IN_A_PROCESS_OF_ITS_OWN],
        env={"PYTHONPATH": str(Path(run.__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["0", "1"], done.stderr


def test_one_that_was_told_to_end_hands_nothing_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def execv(*_: object) -> None:
        raise AssertionError("handed over")

    monkeypatch.setattr(os, "execv", execv)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    stopping = threading.Event()
    stopping.set()
    try:
        hand_over(stopping)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
