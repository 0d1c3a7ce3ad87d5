"""Telling systemd what to do."""

from __future__ import annotations

import shutil
import subprocess

from visantctl.errors import Problem


def systemctl(*words: str, timeout: float = 120) -> bool:
    """True when it went well; False also where there is no systemd. What it says goes where our own output goes."""
    if not shutil.which("systemctl"):
        return False
    try:
        done = subprocess.run(["systemctl", *words], check=False, timeout=timeout, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def must(*words: str, timeout: float = 120) -> None:
    """Problem, in systemd's own words, where it did not go well."""
    done = subprocess.run(
        ["systemctl", *words],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=timeout,
    )  # fmt: skip
    if done.returncode:
        raise Problem(f"systemctl {' '.join(words)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
