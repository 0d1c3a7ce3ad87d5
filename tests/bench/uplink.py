"""What an idle day costs the uplink, without TLS.

The device's processes reach the cloud over a veth pair; counted are the bytes on that cable, with the headers of TCP/IP
and Ethernet.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

from tests.bench.rows import Row
from tests.faults.arena import Arena, arena
from tests.faults.network import cable
from tests.faults.scenario import Fault, Scenario

SECONDS = float(os.environ.get("BENCH_SECONDS") or 60)
DAY = 86_400
MONTH = 365.25 / 12 * DAY
"""Seconds."""


async def _nothing(_: Arena) -> None:
    """No fault."""


def idle_scenario(name: str, device: Mapping[str, str], *, prepare: Fault | None = cable) -> Scenario:
    """A device that is left alone, with these settings."""
    return Scenario(name, _nothing, "", device=device, prepare=prepare, proxied=False)


def on_cable(world: Arena) -> int:
    """Bytes in both directions so far."""
    assert world.cable is not None
    folder = Path("/sys/class/net") / world.cable.outside / "statistics"
    return sum(int((folder / name).read_text()) for name in ("rx_bytes", "tx_bytes"))


async def _rate(base: Path, name: str, interval: str) -> float:
    """Bytes a second on the cable of a device that does nothing."""
    async with arena(idle_scenario(name, {"TELEMETRY_INTERVAL": interval}), base) as world:
        await world.start()
        await asyncio.sleep(5.0)
        before, at = on_cable(world), time.monotonic()
        await asyncio.sleep(2 * SECONDS)
        return (on_cable(world) - before) / (time.monotonic() - at)


async def idle_day(base: Path) -> list[Row]:
    """Takes 4 times SECONDS."""
    quiet = await _rate(base, "idle", "86400")
    telemetry = (await _rate(base, "chatty", "5") - quiet) * 5
    return [
        Row("stream_bytes_an_idle_day", quiet * DAY),
        Row("telemetry_bytes_each", telemetry),
        Row("network_bytes_an_idle_day", quiet * DAY + telemetry * DAY / 300),
    ]
