"""What a process and its children have used, as the kernel counts it."""

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and all below it that live now."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of proc(5) from `state` on; none where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def cpu_seconds(*pids: int) -> float:
    """User and system time of these processes and their children, those that have ended included."""
    fields = [_stat(one) for pid in pids for one in tree(pid)]
    return sum(int(field) for found in fields for field in found[11:15]) / _TICK


def kib(*pids: int) -> int:
    """Memory of these processes and their children, shared pages shared out (PSS), KiB."""
    total = 0
    for pid in (one for each in pids for one in tree(each)):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total
