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
from pathlib import Path

from emulation.processes import Child
from emulation.stack import Device
from tests.bench.rows import Row
from tests.bench.uplink import SECONDS, idle_scenario
from tests.bench.usage import Usage, usage
from tests.faults.arena import arena
from tests.support.pictures import room

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = 20
HEALTH_MOST = 50.0
"""Milliseconds of CPU; the aim."""


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
            before = {name: usage(child.pid or 0) for name, child in processes.items()}
            await asyncio.sleep(SECONDS)
            rows = [
                row for name, child in processes.items() for row in _rows(name, before[name], usage(child.pid or 0))
            ]
            question = await asyncio.to_thread(
                _cpu_of, health_question("connector"), world.device.heartbeat("connector")
            )
            floor = await asyncio.to_thread(_cpu_of, [sys.executable, "-I", "-S", "-c", "pass"], Path(os.devnull))
        finally:
            await fake.stop()
    return [*rows, Row("python_start_cpu_ms", floor), Row("health_cpu_ms", question, aim=HEALTH_MOST)]
