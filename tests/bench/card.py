"""What a picture and an idle day cost the card, and a picture the uplink.

The device's folders lie on an ext4 of their own (loop-mounted, default journal, mounted noatime); counted are the
sectors that the kernel wrote to it.
"""

import asyncio
import os
import subprocess
import time
from pathlib import Path

from tests.bench.rows import Row
from tests.bench.uplink import DAY, SECONDS, idle_scenario, on_cable
from tests.faults.arena import Arena, arena
from tests.faults.network import cable

_SECTOR = 512


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


async def picture_costs(base: Path) -> list[Row]:
    """Takes 1.5 times SECONDS."""
    scenario = idle_scenario("pictures", {"TELEMETRY_INTERVAL": "86400"}, prepare=_own_card)
    async with arena(scenario, base) as world:
        await world.start()
        await asyncio.sleep(5.0)  # the telemetry of the start is through
        before, cable_before, at = _written(world), on_cable(world), time.monotonic()
        await asyncio.sleep(SECONDS / 2)
        idle = (_written(world) - before) / (time.monotonic() - at)
        idle_cable = (on_cable(world) - cable_before) / (time.monotonic() - at)
        count = int(SECONDS)
        before, cable_before, at = _written(world), on_cable(world), time.monotonic()
        await world.post(count)
        while len(captures := await world.target.captures(world.device.device_id)) < count:
            await asyncio.sleep(0.5)
        took = time.monotonic() - at
        size = sum(capture["bytes"] for capture in captures) / count
        return [
            Row("picture_bytes", size),
            Row("card_bytes_a_picture", (_written(world) - before - idle * took) / count),
            Row("card_bytes_an_idle_day", idle * DAY),
            Row("network_bytes_a_picture", (on_cable(world) - cable_before - idle_cable * took) / count),
        ]
