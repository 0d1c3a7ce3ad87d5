"""`make bench`: what a picture costs the card, and what an idle day costs the uplink. Needs root (mount, namespace).

Card: the device's folders lie on an ext4 of their own (loop-mounted, default journal, mounted noatime); counted are the
sectors that the kernel wrote to it. Uplink: the device's processes reach the cloud over a veth pair; counted are the
bytes on that cable, TCP/IP headers included, TLS not (there is none here).
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.faults.__main__ import prepare_machine
from tests.faults.arena import Arena, arena, is_root
from tests.faults.network import cable, outside
from tests.faults.scenario import Scenario

SECONDS = float(os.environ.get("BENCH_SECONDS") or 60)
DAY = 86_400
_SECTOR = 512


async def _nothing(_: Arena) -> None:
    """No fault."""


async def _own_card(world: Arena) -> None:
    """The device's folder on a file system whose writes can be told apart from all others."""
    image = world.folder / "card.img"
    with image.open("wb") as file:
        file.truncate(512 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    await cable(world)
    card = world.folder / "card"
    card.mkdir()
    subprocess.run(["mount", "-o", "loop,noatime", str(image), str(card)], check=True)

    async def unmount() -> None:
        subprocess.run(["umount", "-l", str(card)], check=False)

    world.cleanups.append(unmount)
    for name in ("spool", "redis", "camera"):
        (card / name).mkdir()
    world.device.set(SPOOL_DIR=str(card / "spool"), CAMERA_STATE_DIR=str(card / "camera"))
    redis = world.device.redis
    redis.argv[redis.argv.index("--dir") + 1] = str(card / "redis")


def _written(world: Arena) -> int:
    """Bytes written to the card so far, everything flushed first."""
    card = world.folder / "card"
    os.sync()
    source = subprocess.check_output(["findmnt", "-no", "SOURCE", str(card)], text=True).strip()
    fields = Path(f"/sys/block/{Path(source).name}/stat").read_text().split()
    return int(fields[6]) * _SECTOR


def _on_cable(world: Arena) -> int:
    """Bytes in both directions so far."""
    folder = Path("/sys/class/net") / outside(world.namespace) / "statistics"
    return sum(int((folder / name).read_text()) for name in ("rx_bytes", "tx_bytes"))


def _scenario(name: str, device: Mapping[str, str]) -> Scenario:
    return Scenario(name, _nothing, "", device=device, prepare=_own_card, proxied=False)


async def _picture_costs(base: Path) -> dict[str, Any]:
    async with arena(_scenario("pictures", {"TELEMETRY_INTERVAL": "86400"}), base) as world:
        await world.start()
        await asyncio.sleep(5.0)  # the telemetry of the start is through
        before, cable_before, at = _written(world), _on_cable(world), time.monotonic()
        await asyncio.sleep(SECONDS / 2)
        idle = (_written(world) - before) / (time.monotonic() - at)
        idle_cable = (_on_cable(world) - cable_before) / (time.monotonic() - at)
        count = int(SECONDS)
        before, cable_before, at = _written(world), _on_cable(world), time.monotonic()
        await world.post(count)
        while len(captures := await world.target.captures(world.device.device_id)) < count:
            await asyncio.sleep(0.5)
        took = time.monotonic() - at
        size = sum(capture["bytes"] for capture in captures) / count
        card = (_written(world) - before - idle * took) / count
        cable_each = (_on_cable(world) - cable_before - idle_cable * took) / count
        return {
            "pictures": count,
            "picture_bytes": round(size),
            "card_bytes_a_picture": round(card),
            "card_overhead_bytes": round(card - size),
            "card_bytes_an_idle_day": round(idle * DAY),
            "network_bytes_a_picture": round(cable_each),
        }


async def _idle_rate(base: Path, name: str, interval: str) -> tuple[float, float]:
    """(bytes a second on the cable, seconds measured) of a device that does nothing."""
    async with arena(_scenario(name, {"TELEMETRY_INTERVAL": interval}), base) as world:
        await world.start()
        await asyncio.sleep(5.0)
        before, at = _on_cable(world), time.monotonic()
        await asyncio.sleep(2 * SECONDS)
        took = time.monotonic() - at
        return (_on_cable(world) - before) / took, took


async def _idle_day(base: Path) -> dict[str, Any]:
    quiet, _ = await _idle_rate(base, "idle", "86400")
    chatty, _ = await _idle_rate(base, "chatty", "5")
    telemetry = (chatty - quiet) * 5
    return {
        "stream_bytes_an_idle_day": round(quiet * DAY),
        "telemetry_bytes_each": round(telemetry),
        "network_bytes_an_idle_day": round(quiet * DAY + telemetry * DAY / 300),
    }


async def _run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="visant-bench-", ignore_cleanup_errors=True) as name:
        base = Path(name)
        return await _picture_costs(base) | await _idle_day(base)


def main() -> int:
    """0, or 1 where this machine cannot measure."""
    if not is_root():
        print("[ERROR] make bench mounts a file system and makes a network namespace: run it as root", file=sys.stderr)
        return 1
    prepare_machine()
    print(f"about {int(SECONDS * 6 / 60) + 1} minutes", flush=True)
    found = asyncio.run(_run())
    for key, value in found.items():
        print(f"{key.replace('_', ' '):<32} {value:>12,}")
    print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
