"""Days offline in short: 10,000 commands that arrive in one burst, and 3,000 pictures that wait for their cloud."""

import asyncio
import os
import statistics
import time

from emulation.wait import until
from tests.faults.arena import Arena
from tests.faults.fault_proxy import Answer
from tests.faults.memory import note_peaks
from tests.faults.scenario import Scenario, add
from tests.support.not_none import not_none

COMMANDS = int(os.environ.get("BURST") or 10_000)
PICTURES = int(os.environ.get("BACKLOG") or 3_000)
RATE = 30
"""DELIVERY_RATE of the cloud: pictures a second that a device may catch up with."""
_NEW = 60
_COUNTS_AS_BACKLOG = 61.0
"""Seconds: the rate is for pictures older than a minute."""


async def _offline(arena: Arena) -> None:
    arena.proxy.faults.refuse = True
    arena.proxy.cut_streams()

    async def gone() -> bool:
        return not await arena.target.subscribers()

    await until("the cloud has lost the device", gone, within=30)


async def _all_commands_at_once(arena: Arena) -> None:
    await _offline(arena)
    began = time.monotonic()
    await arena.post(COMMANDS, every=0.0)
    arena.note(f"the cloud took {COMMANDS} triggers in {time.monotonic() - began:.0f} s")
    arena.proxy.faults.refuse = False
    began = time.monotonic()

    async def admitted() -> bool:
        return arena.counter("connector", "admitted") >= COMMANDS

    await until("all commands are admitted", admitted, within=300)
    arena.note(f"the device admitted them within {time.monotonic() - began:.0f} s of the cloud's return")


async def _memory_stayed_bounded(arena: Arena) -> None:
    rows = await arena.target.triggers(arena.device.device_id)
    ends = sorted(row.stored_at.timestamp() for row in rows.values() if row.stored_at is not None)
    arena.note(f"{(len(ends) - 1) / (ends[-1] - ends[0]):.0f} pictures a second from shutter to cloud")
    note_peaks(arena)


add(
    Scenario(
        "burst_10000",
        _all_commands_at_once,
        f"the device is offline while {COMMANDS} triggers gather, and gets them all in one burst",
        cloud={"MANUAL_TTL": "1500"},
        allowed={"deadline_passed": "more triggers than pictures can be taken before their deadline"},
        check=_memory_stayed_bounded,
        triggers=0,
        short=False,
        within=1800.0,
    )
)


async def _drain(arena: Arena) -> None:
    """Pictures gather while no upload gets through; then the uploader starts anew and delivers by the cloud's rate."""
    arena.proxy.faults.uploads = Answer(503)
    await arena.post(PICTURES, every=0.0)

    async def spooled() -> bool:
        return len(list(arena.device.spool.rglob("*.picture"))) >= PICTURES

    await until("every picture is in the spool", spooled, within=600)
    await asyncio.sleep(_COUNTS_AS_BACKLOG)
    uploader = arena.device.uploader
    starts = uploader.starts
    await uploader.kill()
    while uploader.starts == starts:
        await asyncio.sleep(0.05)
    arena.proxy.faults.uploads = None
    await arena.post(_NEW)


async def _interleaved_and_new_ones_first(arena: Arena) -> None:
    rows = await arena.target.triggers(arena.device.device_id)
    old = [one.trigger_id for one in arena.ledger[:PICTURES]]
    new = [rows[one.trigger_id] for one in arena.ledger[PICTURES:]]
    captures = {one["trigger_id"]: one for one in await arena.target.captures(arena.device.device_id)}
    by_age = sorted(old, key=lambda trigger: captures[trigger]["captured_at"])
    place = {trigger: number for number, trigger in enumerate(by_age)}
    received = sorted(old, key=lambda trigger: captures[trigger]["received_at"])
    half = [place[trigger] for trigger in received[: PICTURES // 2]]
    newest = sum(number >= PICTURES // 2 for number in half)
    # of the first half delivered, half are the newest and half the oldest; the middle comes last
    assert abs(newest - len(half) / 2) <= len(half) * 0.05, f"{newest} of the first {len(half)} are from the newer half"
    middle = [number for number in half if PICTURES * 0.3 < number < PICTURES * 0.7]
    assert not middle, f"{len(middle)} pictures of the middle were among the first half"
    ends = sorted(not_none(rows[trigger].stored_at).timestamp() for trigger in old)
    seconds = ends[-1] - ends[0]
    rate = (len(ends) - 1) / seconds
    arena.note(f"{PICTURES} pictures drained in {seconds:.0f} s, {rate:.1f} a second; the cloud allows {RATE}")
    assert rate <= RATE * 1.1, f"{rate:.1f} pictures a second, the cloud allows {RATE}"
    during = [row for row in new if row.stored_at is not None and row.stored_at.timestamp() < ends[-1]]
    delays = sorted(row.latency for row in during if row.latency is not None)
    arena.struck(len(delays) >= _NEW // 2, "most of the new triggers came while the backlog drained")
    arena.note(
        f"{len(delays)} new ones meanwhile, from trigger to cloud {statistics.median(delays):.2f} s at the median, "
        f"{delays[-1]:.2f} s at most"
    )
    assert delays[-1] < seconds / 4, "a new picture waited behind the backlog"
    note_peaks(arena)


add(
    Scenario(
        "backlog_3000",
        _drain,
        f"{PICTURES} pictures wait in the spool, then drain at the cloud's rate while new triggers come",
        cloud={"MANUAL_TTL": "1800", "DELIVERY_RATE": str(RATE)},
        check=_interleaved_and_new_ones_first,
        triggers=0,
        short=False,
        within=900.0,
    )
)
