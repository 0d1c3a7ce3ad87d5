"""The moment in which one release's visantctl becomes the next one's."""

import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from visantctl import run


class Replaced(Exception):
    """execv would not have returned."""


def hand_over(stopping: threading.Event) -> None:
    device: Any = SimpleNamespace(
        place=SimpleNamespace(current=Path("/nowhere")), log=SimpleNamespace(info=lambda _line: None)
    )
    run._hand_over(device, "2.0.1", "", stopping)


def test_a_signal_between_the_two_waits_until_the_second_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    def execv(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)  # systemctl stop, at the worst moment
        raise Replaced

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.delenv("VISANT_RUN_SUCCESSOR", raising=False)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    heard: list[int] = []
    old = signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    try:
        with pytest.raises(Replaced):
            hand_over(threading.Event())
        assert heard == []
        signal.pthread_sigmask(signal.SIG_SETMASK, before)  # what the second does once it listens
        assert heard == [signal.SIGTERM]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGTERM, old)
        os.environ.pop("VISANT_RUN_SUCCESSOR", None)


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
