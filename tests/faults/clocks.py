"""A wall clock that is a day wrong, or becomes it; and a machine that restarts, so that its uptime begins anew."""

import asyncio
import itertools
import json
import subprocess
import sys
import time
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

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


# The cloud's clock

_ON_SCHEDULE = "SCHEDULED-1"
_EVERY = 2.0
_STEP_LASTS = 10.0
_SCHEDULED_FROM: dict[str, datetime] = {}


async def _cloud_wears_clock(arena: Arena) -> None:
    clock = _CLOCKS[arena.scenario.name] = FakeClock(arena.folder / "clock")
    clock.wear(arena.cloud.child)


async def _ask(arena: Arena, method: str, path: str, body: Any = None) -> Any:
    """What the cloud answers an operator."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{arena.cloud.url}{path}", data, {"Content-Type": "application/json"}, method=method
    )

    def answer() -> Any:
        with urllib.request.urlopen(request, timeout=20) as found:
            return json.load(found)

    return await asyncio.to_thread(answer)


async def _cloud_steps(arena: Arena) -> None:
    """A day ahead, right, a day behind, right again, beside a schedule."""
    await _ask(arena, "POST", "/v1/devices", {"device_id": _ON_SCHEDULE})
    await _ask(arena, "PUT", f"/v1/devices/{_ON_SCHEDULE}/schedule", {"interval_seconds": _EVERY})
    _SCHEDULED_FROM[arena.scenario.name] = datetime.now(UTC)
    clock = _CLOCKS[arena.scenario.name]
    for offset in ("+1d", "-1d"):
        await asyncio.sleep(2 * _EVERY)
        clock.jump(offset)
        await asyncio.sleep(_STEP_LASTS)
        clock.jump("+0")


async def _schedule_went_on(arena: Arena) -> None:
    log = arena.logs.path("cloud").read_text()
    arena.struck(log.count("the clock was set") >= 1, "the cloud's log says that the clock was set")
    assert "followed from now on" not in log, "a step that did not last was followed"
    first, now = _SCHEDULED_FROM[arena.scenario.name], datetime.now(UTC)
    missed = (await _ask(arena, "GET", f"/v1/devices/{_ON_SCHEDULE}/missed"))["missed"]
    assert sum(run["count"] for run in missed) < 10, f"slots of a day are called missed: {missed[:2]}"
    found = await _ask(arena, "GET", f"/v1/devices/{_ON_SCHEDULE}/triggers?limit=5000")
    made = sorted(datetime.fromisoformat(row["created_at"]) for row in found["triggers"])
    ends = [first, *made, now]
    longest = max(after - before for before, after in itertools.pairwise(ends))
    # on a busy machine a slot is late by seconds, and then made up for; a step is a day
    assert longest < timedelta(seconds=1.5 * _STEP_LASTS), f"no trigger of a schedule of {_EVERY} s for {longest}"
    most = (now - first).total_seconds() / _EVERY + 1
    assert len(made) <= most, f"{len(made)} triggers of a schedule of {_EVERY} s, which had {most:.0f} slots"
    arena.note(f"{len(made)} triggers of a schedule of {_EVERY:.0f} s, {longest.total_seconds():.1f} s at most between")


add(
    Scenario(
        "cloud_clock",
        _cloud_steps,
        "the cloud's clock is a day ahead for 10 s, then a day behind, while a schedule runs beside the triggers",
        prepare=_cloud_wears_clock,
        check=_schedule_went_on,
        proxied=False,
        triggers=40,
    )
)
