"""Where a test may kill the updater, so that each step is proved to be survivable."""

from __future__ import annotations

import os
import signal

KILL_POINTS = (
    "locked",
    "manifest-verified",
    "space-checked",
    "host-staged",
    "first-image",
    "images-present",
    "candidate-tested",
    "idle",
    "switch-written",
    "previous-linked",
    "current-linked",
    "started",
    "soak-written",
    "soaked",
    "commit-written",
    "good-written",
    "signers-written",
    "cleaned",
    "closed",
    "rollback-written",
    "rollback-linked",
    "rollback-started",
    "rollback-judged",
    "rollback-closed",
    "images-obtained",
    "held",
)
"""In the order of an apply, then of a rollback, then of what a reconciliation may need besides."""


def kill_point(name: str) -> None:
    """Die here, as at a power cut, when VISANT_KILL_AT names this point; nothing otherwise."""
    if name not in KILL_POINTS:
        raise ValueError(f"unknown kill point {name!r}")
    if os.environ.get("VISANT_KILL_AT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
