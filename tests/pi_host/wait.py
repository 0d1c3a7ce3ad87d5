"""Waiting for a condition, never for a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The condition's first true value.

    `seconds` are those of a machine that has nothing else to do; one with n times the work it can do gets n times as
    long (at most 10 times).
    """
    began = time.monotonic()
    while time.monotonic() - began < seconds * _crowd():
        if value := condition():
            return value
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {time.monotonic() - began:.0f} s ({seconds:g} on a quiet machine)")


def _crowd() -> float:
    return min(10.0, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))
