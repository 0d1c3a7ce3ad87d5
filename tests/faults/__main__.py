"""`make faults`: every scenario, a table, and the sums as one line of JSON. ONLY=name[,name], SHORT=1, PARALLEL=n.
ONLY=list prints the names.

WORKERS=2: against a cloud of two workers on one PostgreSQL.

Exit status 1 unless every trigger is accounted for once, and nothing failed that the design does not allow.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.faults import (  # noqa: F401 - each adds its own
    backlog,
    bursts,
    camera,
    clocks,
    cloud_processes,
    clouds,
    kills,
    neighbours,
    network,
    power,
    storage,
    uplink,
)
from tests.faults.runner import Places, Row, run_scenario
from tests.faults.scenario import SCENARIOS, Scenario

_PARALLEL = 6  # on two cores; a scenario mostly waits
_LONG = ("random_kills", "power_lost", "burst_10000", "backlog", "network_gone", "cloud_reset")
_COLUMNS = "scenario                  triggers captured failed expired unaccounted duplicates recovery_s  "


def chosen(only: str, short: bool) -> list[Scenario]:
    """The scenarios asked for. Raises SystemExit with the names where one is unknown."""
    names = [name for name in only.replace(",", " ").split() if name]
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        raise SystemExit(f"ONLY={only}: no scenario {', '.join(unknown)}; `make faults ONLY=list` names them")
    if names:
        return [SCENARIOS[name] for name in names]
    return [one for one in SCENARIOS.values() if one.short or not short]


def line(row: Row) -> str:
    """One line of the table."""
    if row.skipped is not None:
        return f"{row.name:<25} skipped: {row.skipped}"
    found = row.account
    recovery = "-" if row.recovery is None else f"{row.recovery:.1f}"
    remarks = "; ".join([f"WRONG: {one}" for one in row.wrong] + row.why)
    return (
        f"{row.name:<25} {found.triggers:>8} {found.captured:>8} {found.failed:>6} {found.expired:>7} "
        f"{len(found.unaccounted):>11} {found.duplicates:>10} {recovery:>10}  {remarks}"
    ).rstrip()


def sums(rows: list[Row]) -> dict[str, Any]:
    """The last line, as values."""
    ran = [row for row in rows if row.skipped is None]
    return {
        "scenarios": len(ran),
        "triggers": sum(row.account.triggers for row in ran),
        "captured": sum(row.account.captured for row in ran),
        "failed": sum(row.account.failed for row in ran),
        "expired": sum(row.account.expired for row in ran),
        "unaccounted": sum(len(row.account.unaccounted) for row in ran),
        "duplicates": sum(row.account.duplicates for row in ran),
        "stale": sum(row.account.stale for row in ran),
        "wrong": sum(bool(row.wrong) for row in ran),
        "skipped": [row.name for row in rows if row.skipped is not None],
        "rows": [
            {
                "scenario": row.name,
                "triggers": row.account.triggers,
                "captured": row.account.captured,
                "failed": row.account.failed,
                "expired": row.account.expired,
                "unaccounted": len(row.account.unaccounted),
                "duplicates": row.account.duplicates,
                "stale": row.account.stale,
                "recovery_s": None if row.recovery is None else round(row.recovery, 2),
                "p50_ms": row.account.percentile_ms(0.5),
                "why": row.why,
                "wrong": row.wrong,
            }
            for row in ran
        ],
    }


def prepare_machine() -> None:
    """Installs what is missing where it may; else says so, and the scenarios that need it are skipped."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where Debian keeps ip, mount and mkfs, for users as well
    subprocess.run([Path(__file__).parent / "setup.sh"], check=False)


async def _run(scenarios: list[Scenario], base: Path, parallel: int) -> list[Row]:
    task = asyncio.current_task()
    assert task is not None

    def end(number: signal.Signals) -> None:
        print(f"ended by {number.name}: every process is being ended", file=sys.stderr, flush=True)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    places = Places(parallel)

    async def one(scenario: Scenario) -> Row:
        taken = await places.take(scenario.weight)
        try:
            row = await run_scenario(scenario, base)
        finally:
            await places.give(taken)
        print(line(row), flush=True)
        for promise in row.account.broken_promises():
            print(f"{promise} in {row.name}", flush=True)
        return row

    # the long ones first, so that the last to end is a short one
    order = sorted(
        scenarios,
        key=lambda one: not one.name.startswith(_LONG),
    )
    async with asyncio.TaskGroup() as group:
        rows = [group.create_task(one(scenario)) for scenario in order]
    return [row.result() for row in rows]


def main() -> int:
    """The exit status."""
    if os.environ.get("ONLY") == "list":
        print("\n".join(f"{one.name}{'' if one.short else '  (long form only)'}" for one in SCENARIOS.values()))
        return 0
    scenarios = chosen(os.environ.get("ONLY", ""), os.environ.get("SHORT", "") not in ("", "0"))
    parallel = int(os.environ.get("PARALLEL") or _PARALLEL)
    prepare_machine()
    base = Path(os.environ.get("FAULTS_DIR") or tempfile.mkdtemp(prefix="visant-faults-"))
    print(f"{len(scenarios)} scenarios, {parallel} side by side, logs in {base}\n\n{_COLUMNS}", flush=True)
    try:
        rows = asyncio.run(_run(scenarios, base, parallel))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    print(json.dumps(sums(rows)), flush=True)
    return 1 if any(row.wrong for row in rows) or all(row.skipped is not None for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
