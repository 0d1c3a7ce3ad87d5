"""Runs scenarios, side by side where they do not disturb each other, and keeps the account of each."""

import asyncio
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from emulation.accounts import Account, account, settled
from tests.faults.arena import DEVICE, Arena, arena
from tests.faults.scenario import Scenario, Skipped

_GIVE_UP = 3000.0


@dataclass
class Row:
    """One line of the table."""

    name: str
    account: Account = field(default_factory=Account)
    recovery: float | None = None
    """Seconds from the end of the fault until everything triggered before that end had its outcome."""
    why: list[str] = field(default_factory=list)
    """Why something failed or expired, as the design allows, and other remarks."""
    wrong: list[str] = field(default_factory=list)
    """What the design does not allow; empty: passed."""
    skipped: str | None = None
    seconds: float = 0.0


async def run_scenario(scenario: Scenario, base: Path) -> Row:
    """One scenario from start to account. Never raises; what went wrong stands in the row."""
    row = Row(scenario.name)
    began = time.monotonic()
    try:
        async with asyncio.timeout(_GIVE_UP), arena(scenario, base) as world:
            await world.start()
            try:
                await _break_and_wait(scenario, world, row)
            except AssertionError as error:
                row.wrong.append(str(error))
                row.account = await account(world.target, DEVICE, world.ledger)
            row.why += world.notes
    except Skipped as reason:
        row.skipped = str(reason)
    except TimeoutError:
        row.wrong.append(f"not at its end after {_GIVE_UP:.0f} s")
    except Exception as error:  # noqa: BLE001 - a broken scenario is a failed row, the others go on
        where = traceback.extract_tb(error.__traceback__)[-1]
        row.wrong.append(f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})")
    row.seconds = time.monotonic() - began
    return row


async def _break_and_wait(scenario: Scenario, world: Arena, row: Row) -> None:
    posting = asyncio.create_task(world.post(scenario.triggers))
    try:
        await asyncio.sleep(scenario.begins)
        world.fault_began = time.time()
        await scenario.fault(world)
        world.fault_ended = time.time()
        await posting
    finally:
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)
    if scenario.after is not None:
        await scenario.after(world)
    ids = {one.trigger_id for one in world.ledger}
    every = 0.5 if len(ids) < 1000 else 5.0  # each look reads them all
    await settled(world.target, DEVICE, ids, within=scenario.within, every=every)
    row.account = await account(world.target, DEVICE, world.ledger)
    row.recovery = _recovery(world, row.account)
    _judge(scenario, row)
    if scenario.check is not None:
        await scenario.check(world)


def _recovery(world: Arena, found: Account) -> float:
    ended_mono = time.monotonic() - (time.time() - world.fault_ended)
    before = [one.trigger_id for one in world.ledger if one.began <= ended_mono]
    ends = [found.ends[trigger].timestamp() for trigger in before if trigger in found.ends]
    return max(0.0, max(ends, default=world.fault_ended) - world.fault_ended)


def _judge(scenario: Scenario, row: Row) -> None:
    found = row.account
    for reason, count in found.reasons.items():
        if reason in scenario.allowed:
            row.why.append(f"{count} {reason}: {scenario.allowed[reason]}")
        else:
            row.wrong.append(f"{count} {reason}, which nothing allows here")
    if found.unaccounted:
        row.wrong.append(f"{len(found.unaccounted)} unaccounted")
    if found.duplicates:
        row.wrong.append(f"{found.duplicates} duplicates")
    if found.stale or found.broken:
        row.wrong.append(f"{found.stale} stale, {found.broken} broken pictures")
    row.wrong += found.problems[:3]


class Places:
    """Room for a number of scenarios at once; a heavy one takes several places."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._all = places
        self._changed = asyncio.Condition()

    async def take(self, weight: int) -> int:
        """Waits for room; returns the places taken."""
        wanted = min(weight, self._all)
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        return wanted

    async def give(self, taken: int) -> None:
        """Frees them."""
        async with self._changed:
            self._free += taken
            self._changed.notify_all()
