"""Whether the kernel keeps the services' memory limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from visantctl.doctor.finding import Finding, good, warn
from visantctl.wiring import Device

ORDER = 140


def check(device: Device) -> Iterator[Finding]:
    """By the controllers of cgroup v2, or v1's table."""
    unified, old = Path("/sys/fs/cgroup/cgroup.controllers"), Path("/proc/cgroups")
    try:
        if unified.is_file():
            works = "memory" in unified.read_text().split()
        else:
            works = any(re.match(r"memory\s+\d+\s+\d+\s+1", line) for line in old.read_text().splitlines())
    except OSError:
        return
    if works:
        yield good("memory", "limits work")
    else:
        yield warn(
            "memory",
            "the kernel ignores memory limits",
            "add cgroup_enable=memory to /boot/firmware/cmdline.txt, then sudo reboot",
        )
