"""A wall clock that is a day wrong, or becomes it; and a machine that restarts, so that its uptime begins anew."""

import asyncio
import subprocess
import sys
import time
import uuid
from datetime import datetime
from functools import partial
from pathlib import Path

from tests.faults.arena import Arena, is_root
from tests.faults.fake_clock import FakeClock
from tests.faults.scenario import Scenario, Skipped, add

_CLOCKS: dict[str, FakeClock] = {}


async def _wear_clock(arena: Arena) -> None:
    redis = Path(sys.executable).parent / "redis-server"
    if not redis.exists():
        raise Skipped("needs the redis-server of the development environment: libfaketime 0.9.10 and jemalloc clash")
    arena.device.redis.argv[0] = str(redis)
    clock = _CLOCKS[arena.scenario.name] = FakeClock(arena.folder / "clock")
    for child in arena.device.children.values():
        clock.wear(child)


async def _jump(arena: Arena, *, offset: str) -> None:
    _CLOCKS[arena.scenario.name].jump(offset)
    await asyncio.sleep(1.0)


async def _restart_with_wrong_clock(arena: Arena) -> None:
    """The clock jumps while the power is away, as on a machine without a battery."""
    starts = {name: child.starts for name, child in arena.device.children.items()}
    _CLOCKS[arena.scenario.name].jump("-1d")
    await asyncio.gather(*(child.kill(down=3.0) for child in arena.device.children.values()))
    while any(child.starts == starts[name] for name, child in arena.device.children.items()):
        await asyncio.sleep(0.05)


async def _times_are_true(arena: Arena) -> None:
    """Every captured_at that the cloud shows lies within 5 s before its arrival or within its own uncertainty."""
    wrong = []
    for capture in await arena.target.captures(arena.device.device_id):
        captured = datetime.fromisoformat(capture["captured_at"])
        row = (await arena.target.triggers(arena.device.device_id))[capture["trigger_id"]]
        off = min(0.0, (captured - row.created_at).total_seconds()) or max(
            0.0, (captured - datetime.fromisoformat(capture["received_at"])).total_seconds()
        )
        uncertainty = capture["captured_at_uncertainty"]
        if abs(off) > 1.0 + (uncertainty or 0.0) and uncertainty is not None:
            wrong.append(f"{capture['trigger_id']}: off by {off:.1f} s, said +-{uncertainty}")
    assert not wrong, f"{len(wrong)} pictures carry a wrong time: {wrong[:3]}"


for _name, _offset, _about in (
    ("clock_back", "-1d", "the device's clock jumps a day back"),
    ("clock_forward", "+1d", "the device's clock jumps a day forward"),
):
    add(
        Scenario(
            _name,
            partial(_jump, offset=_offset),
            _about,
            prepare=_wear_clock,
            check=_times_are_true,
            proxied=False,
            short=_offset == "+1d",  # a day back is part of the short form together with a power cut
        )
    )
add(
    Scenario(
        "clock_back_and_power_cut",
        _restart_with_wrong_clock,
        "power cut; the device comes back after 3 s with a clock a day behind",
        prepare=_wear_clock,
        check=_times_are_true,
        proxied=False,
    )
)


def _as_after_reboot(argv: list[str], boot_id: str, offset: int) -> list[str]:
    """`argv` in a mount and a time namespace of its own: another boot id, and an uptime that began anew."""
    bind = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
    namespaces = ["unshare", "--mount", "--propagation", "private", "--time", "--boottime", str(offset)]
    return [*namespaces, "sh", "-c", bind, boot_id, *argv]


async def _reboot(arena: Arena) -> None:
    if not is_root():
        raise Skipped("namespaces need root")
    boot_id = arena.folder / "boot_id"
    boot_id.write_text(f"{uuid.uuid4()}\n")
    offset = 30 - int(time.clock_gettime(time.CLOCK_BOOTTIME))
    probe = _as_after_reboot(["cat", "/proc/sys/kernel/random/boot_id"], str(boot_id), offset)
    found = subprocess.run(probe, capture_output=True, text=True, check=False)
    if found.stdout != boot_id.read_text():
        raise Skipped(f"no time or mount namespace here: {found.stderr.strip()}")
    starts = {name: child.starts for name, child in arena.device.children.items()}
    for name in ("camera", "connector", "uploader"):
        child = arena.device.children[name]
        child.argv = _as_after_reboot(child.argv, str(boot_id), offset)
    await asyncio.gather(*(child.kill(down=5.0) for child in arena.device.children.values()))
    while any(child.starts == starts[name] for name, child in arena.device.children.items()):
        await asyncio.sleep(0.05)
    arena.note(f"uptime {time.clock_gettime(time.CLOCK_BOOTTIME):.0f} s became 30 s")


add(
    Scenario(
        "power_cut_reboot",
        _reboot,
        "power cut; the device comes back after 5 s with a new boot id and an uptime that began anew",
        proxied=False,
    )
)
