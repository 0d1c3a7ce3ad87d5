"""Named steps at which a test may kill the updater, so that each of them is proved to be survivable."""

from __future__ import annotations

import os
import signal

STEPS = (
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
)
"""In the order of an apply, then of a rollback."""


def step(name: str) -> None:
    """Die here, as at a power cut, when VISANT_KILL_AT names this step; nothing otherwise."""
    if name not in STEPS:
        raise ValueError(f"unknown step {name!r}")
    if os.environ.get("VISANT_KILL_AT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
