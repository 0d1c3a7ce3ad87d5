"""What a device that waits costs its processor and memory, and what one question after its health costs.

CPU is the kernel's own count of each thread (/proc/PID/task/*/schedstat). Wakeups are voluntary context switches of all
threads. Memory is PSS (smaps_rollup): of what several processes share, the Python interpreter above all, each has its
part, so that the sum is what is taken; RSS would count it four times.
"""

import asyncio
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from emulation.processes import Child
from emulation.stack import Device
from tests.bench.rows import Row
from tests.bench.uplink import SECONDS, idle_scenario
from tests.faults.arena import arena
from tests.support.pictures import room

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = 20
HEALTH_MOST = 50.0
"""Milliseconds of CPU; the aim."""


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


def _usage(pid: int) -> Usage:
    cpu, wakeups, memory = 0.0, 0, 0
    for one in _family(pid):
        for task in Path(f"/proc/{one}/task").iterdir():
            cpu += int((task / "schedstat").read_text().split()[0]) / 1e9
            found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.MULTILINE)
            wakeups += int(found[1]) if found else 0
        pss = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{one}/smaps_rollup").read_text(), re.MULTILINE)
        memory += int(pss[1]) * 1024 if pss else 0
    return Usage(time.monotonic(), cpu, wakeups, memory)


def _rows(name: str, before: Usage, after: Usage) -> list[Row]:
    took = after.at - before.at
    return [
        Row(f"idle_{name}_cpu_percent", (after.cpu - before.cpu) / took * 100),
        Row(f"idle_{name}_wakeups_a_second", (after.wakeups - before.wakeups) / took),
        Row(f"idle_{name}_pss_mib", after.memory / (1 << 20)),
    ]


def health_question(service: str) -> list[str]:
    """The image's HEALTHCHECK, with this machine's Python and this tree's file."""
    lines = re.findall(r"HEALTHCHECK .* CMD (\[.*\])", (ROOT / "services/Dockerfile").read_text())
    program, *words = next(json.loads(line) for line in lines if f'"{service}"' in line)
    assert program == "python3", "else another program is measured"
    return [sys.executable, *(word.replace("/app/", f"{ROOT}/runtime/src/") for word in words)]


def _cpu_of(argv: list[str], heartbeat: Path) -> float:
    """Milliseconds, the median of QUESTIONS."""
    found = []
    for _ in range(QUESTIONS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(argv, env={"HEARTBEAT_FILE": str(heartbeat)}, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(found) * 1000


async def idle_device(base: Path) -> list[Row]:
    """Takes SECONDS: a device whose camera is an image file, and beside it a fake camera alone."""
    picture = base / "room.jpg"
    picture.write_bytes(room())
    settings = {"CAMERA_SOURCE": str(picture), "TELEMETRY_INTERVAL": "300"}
    async with arena(idle_scenario("idle_device", settings, prepare=None), base) as world:
        await world.start()
        fake = Device("FAKE", base / "fake", world.cloud.url, world.logs)
        fakes: dict[str, Child] = {"camera_fake": fake.camera}
        try:
            await fake.camera.start()
            await asyncio.sleep(75.0)  # CAMERA_IDLE_AFTER: a camera that nobody asks rests
            processes = {name: child for name, child in (world.device.children | fakes).items() if child.pid}
            before = {name: _usage(child.pid or 0) for name, child in processes.items()}
            await asyncio.sleep(SECONDS)
            rows = [
                row for name, child in processes.items() for row in _rows(name, before[name], _usage(child.pid or 0))
            ]
            question = await asyncio.to_thread(
                _cpu_of, health_question("connector"), world.device.heartbeat("connector")
            )
            floor = await asyncio.to_thread(_cpu_of, [sys.executable, "-I", "-S", "-c", "pass"], Path(os.devnull))
        finally:
            await fake.stop()
    return [*rows, Row("python_start_cpu_ms", floor), Row("health_cpu_ms", question, aim=HEALTH_MOST)]
