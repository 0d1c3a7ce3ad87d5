"""Asking the host's own programs."""

from __future__ import annotations

import subprocess


def ask(*command: str, timeout: float = 10.0) -> str | None:
    """Standard output, stripped; None where the program is missing, fails without output, or takes too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    out = done.stdout.strip()
    return out if out or done.returncode == 0 else None
