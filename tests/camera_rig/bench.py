"""How fresh, how quick and how dear a picture is: our service beside four other ways, in one run on one camera.

Prints a table and writes the numbers to /run/results/bench.json. `python -m tests.camera_rig.bench [REQUESTS]`.
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.camera_rig.bench_ways import Way, by_http, by_pipe, ours, process_of, ustreamer
from tests.camera_rig.rig import RESULTS, Webcam, load_modules
from tests.camera_rig.service import Service
from tests.camera_rig.stamps import jpeg_stamp

ROUNDS = 3
IDLE_SECONDS = 10
FRESH, AGED, LOOP = "ours, fresh", "ours, max_age_ms=100", "bare loop, same rule, no HTTP"
EXPOSURES = {
    "ours, fresh; 30 fps, exposed for all of it": ("--real", "0.0333", "0.0333"),
    "ours, fresh; 30 announced, 5 to 8 come, exposed for all of it": ("--real", "0.125", "0.2"),
}
"""What the rule of freshness costs where the light is low: cameras that expose one frame right behind the other."""
USTREAMER, NAIVE = "ustreamer 4.9", "OpenCV, discard 30, read, encode"
PAUSE = 0.1
"""Between two requests passes a random time up to twice this, in seconds."""


@dataclass
class Row:
    """Times in ms from asking to the last byte; age: from exposure to the last byte. CPU in percent of one core."""

    way: str
    requests: int
    fresh: int
    """Exposed after they were asked for."""
    placeholders: int
    """Answers with a picture that the camera never made."""
    p50_ms: float
    p90_ms: float
    p99_ms: float
    age_p50_ms: float
    cpu_percent: float
    idle_cpu_percent: float | None
    rss_mb: float
    """Of 10^6 bytes."""


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6


@dataclass
class Sums:
    """What the rounds of one way have shown so far; waits and ages in ms, CPU and time in seconds."""

    waits: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    fresh: int = 0
    placeholders: int = 0
    cpu: float = 0.0
    time: float = 0.0
    idle_cpu: float = 0.0
    idle_time: float = 0.0
    rss_mb: float = 0.0

    def row(self, way: str) -> Row:
        waits, ages, count = sorted(self.waits), sorted(self.ages), len(self.waits)
        return Row(
            way=way,
            requests=count,
            fresh=self.fresh,
            placeholders=self.placeholders,
            p50_ms=round(waits[count // 2], 1),
            p90_ms=round(waits[count * 9 // 10], 1),
            p99_ms=round(waits[count * 99 // 100], 1),
            age_p50_ms=round(ages[len(ages) // 2], 1),
            cpu_percent=round(100 * self.cpu / self.time, 1),
            idle_cpu_percent=round(100 * self.idle_cpu / self.idle_time, 2) if self.idle_time else None,
            rss_mb=round(self.rss_mb, 1),
        )


def measure(way: Way, count: int, sums: Sums, *, idle: bool = True) -> None:
    """One round of `count` requests, then a rest; adds to `sums`."""
    chance = random.Random(count + len(sums.waits))
    pid = way.process.pid
    for _ in range(3):
        way.ask()
    cpu, began = cpu_seconds(pid), time.monotonic()
    for _ in range(count):
        time.sleep(chance.uniform(0, 2 * PAUSE))
        asked = time.monotonic()
        jpeg = way.ask()
        answered = time.monotonic()
        sums.waits.append(1000 * (answered - asked))
        try:
            exposed = jpeg_stamp(jpeg).exposed_at
        except ValueError:  # ustreamer's own picture, when it takes a late camera for a dead one
            sums.placeholders += 1
            continue
        sums.ages.append(1000 * (answered - exposed))
        sums.fresh += exposed > asked
    sums.cpu += cpu_seconds(pid) - cpu
    sums.time += time.monotonic() - began
    sums.rss_mb = max(sums.rss_mb, resident_mb(pid))
    if idle:
        time.sleep(3)  # until the way has noticed that nobody asks
        cpu, began = cpu_seconds(pid), time.monotonic()
        time.sleep(IDLE_SECONDS)
        sums.idle_cpu += cpu_seconds(pid) - cpu
        sums.idle_time += time.monotonic() - began
    print(f"  {way.name}: {sums.fresh} of {len(sums.waits)} fresh, {sums.placeholders} placeholders")


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def one_round(node: str, count: int, sums: dict[str, Sums]) -> None:
    """Every way once, one after the other: a camera streams to one process at a time."""
    with Service(CAMERA_IDLE_AFTER="1", CAMERA_SOURCE=node) as service:
        service.wait_until("ok")
        measure(ours(service, FRESH, "/snapshot"), count, sums[FRESH])
        measure(ours(service, AGED, "/snapshot?max_age_ms=100"), count, sums[AGED], idle=False)
    process = process_of("loop", node)
    measure(Way(LOOP, process, by_pipe(process)), count, sums[LOOP])
    end(process)
    process = ustreamer(node, 18080)
    measure(Way(USTREAMER, process, by_http(18080, "/snapshot")), count, sums[USTREAMER])
    end(process)
    process = process_of("naive", node)
    measure(Way(NAIVE, process, by_pipe(process)), count, sums[NAIVE], idle=False)
    end(process)


def run(count: int) -> list[Row]:
    """`count` requests of each way, in rounds, so that a host whose load changes is fair to all."""
    rows: list[Row] = []
    sums = {way: Sums() for way in (FRESH, AGED, LOOP, USTREAMER, NAIVE)}
    with Webcam() as camera:
        node = camera.plug()
        for number in range(ROUNDS):
            one_round(node, count // ROUNDS + (number < count % ROUNDS), sums)
            rows = [sums[way].row(way) for way in sums]
            show(rows)
    return rows + [exposing(way, count // ROUNDS, options) for way, options in EXPOSURES.items()]


def exposing(way: str, count: int, options: tuple[str, ...]) -> Row:
    """Ours on a camera that exposes all the time."""
    sums = Sums()
    with Webcam("Rig Night", "N1", 0, *options) as camera:
        node = camera.plug()
        with Service(CAMERA_SOURCE=node) as service:
            service.wait_until("ok")
            measure(ours(service, way, "/snapshot?timeout_ms=5000"), count, sums, idle=False)
    return sums.row(way)


def ratios(rows: list[Row]) -> dict[str, float]:
    """What holds on a slow or busy host too: each figure beside the other way's in the same run."""
    fresh, aged, loop, other, naive = rows[:5]
    pairs = {
        "fresh p50 / bare loop's": (fresh.p50_ms, loop.p50_ms),
        "fresh p90 / bare loop's": (fresh.p90_ms, loop.p90_ms),
        "max_age_ms=100 p50 / ustreamer's": (aged.p50_ms, other.p50_ms),
        "max_age_ms=100 p90 / ustreamer's": (aged.p90_ms, other.p90_ms),
        "idle CPU / bare loop's": (fresh.idle_cpu_percent or 0.0, loop.idle_cpu_percent or 0.0),
        "idle CPU / ustreamer's": (fresh.idle_cpu_percent or 0.0, other.idle_cpu_percent or 0.0),
        "naive p50 / fresh": (naive.p50_ms, fresh.p50_ms),
    }
    return {name: round(ours / theirs, 2) if theirs else float("inf") for name, (ours, theirs) in pairs.items()}


def judge(rows: list[Row]) -> dict[str, bool]:
    """The aims, and whether this run met them."""
    fresh, ratio = rows[0], ratios(rows)
    return {
        f"fresh {fresh.fresh} of {fresh.requests}": fresh.fresh == fresh.requests,
        **{f"{row.way}: {row.fresh} of {row.requests} fresh": row.fresh == row.requests for row in rows[5:]},
        "fresh p90 at most 1.2 x the bare loop's": ratio["fresh p90 / bare loop's"] <= 1.2,
        "max_age_ms=100 p50 below ustreamer's": ratio["max_age_ms=100 p50 / ustreamer's"] < 1,
        "idle CPU at most 1.5 x the bare loop's": ratio["idle CPU / bare loop's"] <= 1.5,
        f"RSS {fresh.rss_mb} MB below 75": fresh.rss_mb < 75,
    }


def show(rows: list[Row]) -> None:
    """The table, as docs/camera-bench.md has it."""
    columns = ("way", "fresh", "p50", "p90", "p99", "age p50", "CPU", "idle CPU", "RSS")
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows:
        idle = f"{row.idle_cpu_percent} %" if row.idle_cpu_percent is not None else "-"
        cells = (row.way, f"{row.fresh}/{row.requests}", row.p50_ms, row.p90_ms, row.p99_ms, row.age_p50_ms)
        print("| " + " | ".join(map(str, (*cells, f"{row.cpu_percent} %", idle, f"{row.rss_mb} MB"))) + " |")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    load_modules()
    rows = run(count)
    show(rows)
    for name, ratio in ratios(rows).items():
        print(f"{ratio:6.2f} {name}")
    aims = judge(rows)
    for aim, met in aims.items():
        print(f"{'met   ' if met else 'MISSED'} {aim}")
    report = {"kernel": platform.release(), "rows": [asdict(row) for row in rows], "ratios": ratios(rows), "aims": aims}
    (RESULTS / "bench.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
