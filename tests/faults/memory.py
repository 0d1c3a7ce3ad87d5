"""How much memory a device's processes took at most, against what Compose allows them."""

from pathlib import Path

from tests.faults.arena import Arena

LIMITS = {"redis": 192, "connector": 128, "uploader": 256}
"""MiB; `mem_limit` in compose.yaml."""


def peaks(arena: Arena) -> dict[str, int]:
    """MiB by service: the largest resident set of the running process so far (VmHWM)."""
    found = {}
    for name in LIMITS:
        pid = arena.device.children[name].pid
        status = Path(f"/proc/{pid}/status").read_text() if pid else ""
        lines = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
        found[name] = int(lines[0]) >> 10 if lines else 0
    return found


def note_peaks(arena: Arena) -> None:
    """Says them in the table. Raises AssertionError where one is above its limit."""
    found = peaks(arena)
    arena.note("at most " + ", ".join(f"{name} {mib} MiB" for name, mib in found.items()))
    assert all(0 < mib < LIMITS[name] for name, mib in found.items()), f"memory {found} MiB, limits {LIMITS}"
