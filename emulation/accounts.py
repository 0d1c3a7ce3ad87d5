"""Who accounts for what: every trigger that the cloud accepted against what the cloud says became of it."""

import asyncio
import io
import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import httpx
from PIL import Image

from emulation.cloud_api import CloudApi, TriggerRow
from emulation.stamps import read_stamp

PROMISE_BROKEN = "PROMISE BROKEN:"
"""Begins the line with which a suite says that it counted a trigger lost, doubled or stale."""


@dataclass(frozen=True)
class Posted:
    """A trigger that the cloud accepted. `began` is CLOCK_MONOTONIC just before the first try to post it, seconds."""

    trigger_id: str
    began: float
    accepted: float


@dataclass
class Account:
    """What became of a list of triggers."""

    triggers: int = 0
    captured: int = 0
    failed: int = 0
    expired: int = 0
    unaccounted: list[str] = field(default_factory=list)
    duplicates: int = 0
    """Stored captures beyond the first, over all triggers."""
    stale: int = 0
    """Pictures exposed before their trigger was posted."""
    broken: int = 0
    """Pictures that are missing or do not decode."""
    reasons: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    ends: dict[str, datetime] = field(default_factory=dict)
    """When the cloud had each outcome, by its clock."""

    @property
    def good(self) -> bool:
        """Everything accounted for once, fresh and whole."""
        return not self.broken_promises()

    def broken_promises(self) -> list[str]:
        """What of the product's promise was not kept, counted. `.ci/run` never repeats a suite that printed one."""
        counted = {
            "lost": len(self.unaccounted),
            "doubled": self.duplicates,
            "stale": self.stale,
            "broken": self.broken,
        }
        return [f"{PROMISE_BROKEN} {count} {what}" for what, count in counted.items() if count]

    def percentile_ms(self, share: float) -> float | None:
        """The latency in milliseconds that `share` (0 to 1) of the captures did not exceed (nearest rank)."""
        if not self.latencies:
            return None
        ordered = sorted(self.latencies)
        return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1000, 1)


async def settled(api: CloudApi, device_id: str, ids: set[str], *, within: float, every: float = 0.5) -> bool:
    """Waits until every trigger of `ids` has a final outcome, at most `within` seconds; False: some have none."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within
    while True:
        try:
            rows = await api.triggers(device_id)
            if all(trigger in rows and rows[trigger].final for trigger in ids):
                return True
        except httpx.HTTPError:
            pass  # the cloud may be down for a moment
        if loop.time() > until:
            return False
        await asyncio.sleep(every)


async def account(api: CloudApi, device_id: str, posted: list[Posted]) -> Account:
    """Asks the cloud for the outcome of each trigger, and looks at every picture."""
    found = Account(triggers=len(posted))
    rows = await api.triggers(device_id)
    records = Counter(str(capture["trigger_id"]) for capture in await api.captures(device_id))
    for one in posted:
        row = rows.get(one.trigger_id)
        found.duplicates += max(0, records[one.trigger_id] - 1)
        if row is None or not row.final:
            found.unaccounted.append(one.trigger_id)
            found.problems.append(f"{one.trigger_id}: {row.status if row else 'unknown to the cloud'}")
            continue
        found.ends[one.trigger_id] = row.stored_at or row.ended_at or row.created_at
        if row.status == "executed":
            found.captured += 1
            await _look(api, one, row, found)
        else:
            found.failed += row.status == "failed"
            found.expired += row.status == "expired"
            found.reasons[row.reason or "no reason"] += 1
    return found


async def _look(api: CloudApi, posted: Posted, row: TriggerRow, found: Account) -> None:
    if row.latency is not None:
        found.latencies.append(row.latency)
    try:
        if row.record_id is None:
            raise ValueError("executed, but no record")
        jpeg = await api.picture(row.record_id)
        with Image.open(io.BytesIO(jpeg)) as image:
            image.load()
    except (httpx.HTTPError, OSError, ValueError, SyntaxError) as error:
        found.broken += 1
        found.problems.append(f"{row.trigger_id}: its picture is broken: {error}")
        return
    stamp = read_stamp(jpeg)
    if stamp is not None and stamp.exposed_at < posted.began:
        found.stale += 1
        age = (posted.began - stamp.exposed_at) * 1000
        found.problems.append(f"{row.trigger_id}: its picture was exposed {age:.1f} ms before the trigger was posted")
