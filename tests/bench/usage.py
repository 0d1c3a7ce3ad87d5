"""What a process uses: seconds of CPU, wakeups, memory."""

import re
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """Of one process so far, its children included: seconds of CPU, wakeups, and bytes of memory now."""

    at: float
    cpu: float
    wakeups: int
    memory: int


def _family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _family(int(child))
    return found


def usage(pid: int) -> Usage:
    """Of this process and its children, until now."""
    cpu, wakeups, memory = 0.0, 0, 0
    for one in _family(pid):
        for task in Path(f"/proc/{one}/task").iterdir():
            cpu += int((task / "schedstat").read_text().split()[0]) / 1e9
            found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.MULTILINE)
            wakeups += int(found[1]) if found else 0
        pss = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{one}/smaps_rollup").read_text(), re.MULTILINE)
        memory += int(pss[1]) * 1024 if pss else 0
    return Usage(time.monotonic(), cpu, wakeups, memory)
