"""`make bench`: what a device costs card, uplink and processor, and how far its road is from the bare work.

Needs root (mounts, network namespaces). ONLY=part[,part] runs some parts. Prints a table and, last, the rows as one
line of JSON: `name`, `figure`, `floor`, `ratio`, `aim`, `met`.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.bench.card import picture_costs
from tests.bench.idle import idle_device
from tests.bench.metered import metered_month
from tests.bench.road import road
from tests.bench.rows import Row, last_line, table
from tests.bench.uplink import SECONDS, idle_day
from tests.faults.__main__ import prepare_machine
from tests.faults.arena import is_root

Part = Callable[[Path], Awaitable[list[Row]]]

PARTS: dict[str, tuple[Part, float]] = {
    "card": (picture_costs, 1.5 * SECONDS + 30),
    "uplink": (idle_day, 4 * SECONDS + 40),
    "metered": (metered_month, 300),
    "idle": (idle_device, SECONDS + 110),
    "road": (road, SECONDS + 40),
}
"""By name, with seconds that each takes."""


def chosen(only: str) -> dict[str, tuple[Part, float]]:
    """The parts asked for. Raises SystemExit with the names where one is unknown."""
    names = only.replace(",", " ").split()
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise SystemExit(f"ONLY={only}: no part {', '.join(unknown)}; there are: {' '.join(PARTS)}")
    return {name: PARTS[name] for name in names or PARTS}


async def _run(parts: dict[str, tuple[Part, float]]) -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="visant-bench-", ignore_cleanup_errors=True) as name:
        for part, _ in parts.values():
            rows += await part(Path(name))
    return rows


def main() -> int:
    """0, or 1 where this machine cannot measure. A missed aim is no failure: figures depend on the machine."""
    parts = chosen(os.environ.get("ONLY", ""))
    if not is_root():
        print("[ERROR] make bench mounts a file system and makes a network namespace: run it as root", file=sys.stderr)
        return 1
    prepare_machine()
    print(f"about {sum(seconds for _, seconds in parts.values()) / 60 + 0.5:.0f} minutes", flush=True)
    rows = asyncio.run(_run(parts))
    print(table(rows))
    print(last_line(rows), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
