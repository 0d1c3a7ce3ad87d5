"""Figures, strips and newest pictures are kept as they are written: they are at any time what a recount finds."""

import asyncio
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.support.many_devices import create_many
from visant_cloud import housekeeping
from visant_cloud.database.engine import Database
from visant_cloud.store import (
    captures,
    counters,
    device_states,
    devices,
    slot_days,
    trigger_creation,
    trigger_history,
    trigger_outcomes,
    triggers,
)
from visant_cloud.store.counters import Figures
from visant_cloud.store.scope import Scope
from visant_cloud.store.trigger_creation import Slot
from visant_contract.outcome import OutcomeReport, Reason

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DEVICES = ("D1", "D2", "D3")


async def picture(connection: Any, key: str, trigger_id: str | None, at: datetime, record_id: str) -> bool:
    values = {"device_key": key, "record_id": record_id, "captured_at": at, "received_at": at, "trigger_id": trigger_id}
    row = {**values, "sha256": "", "bytes": 7, "width": 1, "height": 1, "metadata": {}}
    return (await captures.add(connection, row))[1] is not None


async def made_devices(start: Any) -> Database:
    database: Database = (await start()).cloud.database
    async with database.writing() as connection:
        for key in DEVICES:
            await devices.create(connection, key, NOW)
    return database


async def shown(database: Database, key: str, now: datetime = NOW) -> tuple[Figures, list[tuple[str, str | None]]]:
    async with database.reading() as connection:
        figures = await counters.since(connection, key, counters.yesterday(now))
        return figures, (await device_states.find(connection, key)).last_outcomes


async def nothing_is_wrong(database: Database, now: datetime) -> None:
    for key in DEVICES:
        async with database.writing() as connection:
            assert not await counters.recount(connection, key, now), key


class Ledger:
    """Random steps, each in a transaction of its own, as the cloud takes them."""

    def __init__(self, database: Database, seed: int) -> None:
        self._database = database
        self._chance = random.Random(seed)
        self._known: list[tuple[str, str]] = []
        self.now = NOW - timedelta(days=100)

    def _trigger(self) -> tuple[str, str]:
        key = self._chance.choice(DEVICES)
        unknown = key, f"elsewhere{self._chance.random()}"
        return self._chance.choice([*self._known[-40:], unknown])

    async def step(self) -> None:
        """One more, some time later."""
        self.now += timedelta(seconds=self._chance.choice((1, 60, 3600, 30 * 3600)))
        async with self._database.writing() as connection:
            await self._change(connection)

    async def _change(self, connection: Any) -> None:
        chance, now = self._chance, self.now
        kinds = ("create", "create", "sent", "reported", "expired", "captured", "captured", "settings", "slot", "slot")
        kind = chance.choice((*kinds, "judged"))
        if kind in ("create", "settings"):
            of: Any = "update_config" if kind == "settings" else "capture"
            made, _ = await trigger_creation.create(connection, chance.choice(DEVICES), now, 60.0, kind=of)
            self._known.append((made.device_key, made.trigger_id))
        elif kind == "slot":
            slot = Slot(1, chance.choice(DEVICES), now, 7200.0)
            for trigger_id in await trigger_creation.create_scheduled(connection, [slot], now):
                self._known.append((slot.device_key, trigger_id))
        elif kind == "judged":
            await trigger_outcomes.judged(connection, *self._trigger(), useful=chance.random() < 0.5)
        elif kind == "sent":
            await triggers.mark_sent(connection, range(1, 30), now)
        elif kind == "expired":
            await trigger_outcomes.expire_silent(connection, now - timedelta(seconds=60), now, limit=3)
        elif kind == "reported":
            key, trigger_id = self._trigger()
            status, reason = chance.choice(
                (("failed", "camera_absent"), ("failed", "spool_full"), ("expired", "rebooted"), ("executed", None))
            )
            said = OutcomeReport.model_validate({"status": status, "reason": reason})
            await trigger_outcomes.reported(connection, key, trigger_id, said, now)
        else:
            key, trigger_id = self._trigger()
            await picture(connection, key, trigger_id, now, f"{chance.random()}")
            shown = await captures.of_trigger(connection, key, trigger_id)
            await trigger_outcomes.captured(connection, key, trigger_id, now, "manual", picture=shown)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_in_whatever_order_the_figures_are_what_a_recount_finds(start: Any, seed: int) -> None:
    database = await made_devices(start)
    ledger = Ledger(database, seed)
    for number in range(240):
        await ledger.step()
        if number % 20 == 19:
            await nothing_is_wrong(database, ledger.now)
            if number % 60 == 59:
                async with database.writing() as connection:
                    while await counters.roll_up(connection, ledger.now, limit=5):
                        pass
                await nothing_is_wrong(database, ledger.now)
    async with database.reading() as connection:
        totals = await counters.totals(connection, "default")
        rows = await trigger_history.page(connection, Scope(), None, before=None, limit=10_000)
    ended = [(row.status, row.reason or "") for row in rows if row.kind == "capture" and row.ended_at is not None]
    assert totals == {one: ended.count(one) for one in set(ended)} and len(totals) > 3
    everything = date(2000, 1, 1), date(2100, 1, 1)
    async with database.reading() as connection:
        causes = await slot_days.causes(connection, "default", *everything, None)
    slots = [row for row in rows if row.scheduled_for is not None and row.ended_at is not None]
    assert causes == Counter(slot_days.cause(row.status, row.reason, row.gap) for row in slots)
    assert {"useful", "late"} < causes.keys()


async def test_a_provisional_outcome_moves_to_the_final_ones_column_on_the_day_the_trigger_was_made(start: Any) -> None:
    database = await made_devices(start)
    made_at = NOW - timedelta(days=1)
    async with database.writing() as connection:
        made, _ = await trigger_creation.create(connection, "D1", made_at, 60.0)
        await trigger_creation.create(connection, "D1", made_at, 60.0, kind="update_config")
        later, _ = await trigger_creation.create(connection, "D1", made_at, 86400.0 * 2)
        assert len(await trigger_outcomes.expire_silent(connection, NOW, NOW)) == 2
    assert await shown(database, "D1") == (Figures(expired=1), [("expired", "device_silent")])
    async with database.writing() as connection:
        said = OutcomeReport(status="failed", reason=Reason.CAMERA_ABSENT)
        await trigger_outcomes.reported(connection, "D1", later.trigger_id, said, NOW)
        await trigger_outcomes.captured(connection, "D1", made.trigger_id, NOW, "manual")
        await trigger_outcomes.captured(connection, "D1", made.trigger_id, NOW, "manual")
    outcomes: list[tuple[str, str | None]] = [("executed", None), ("failed", "camera_absent")]
    assert await shown(database, "D1") == (Figures(executed=1, failed=1), outcomes)
    assert (await shown(database, "D1", NOW + timedelta(days=1)))[0] == Figures(), "the day it was made is over"
    async with database.reading() as connection:
        assert await counters.totals(connection, "default") == {("executed", ""): 1, ("failed", "camera_absent"): 1}


async def test_a_wrong_figure_is_found_and_mended_by_a_recount(start: Any) -> None:
    database = await made_devices(start)
    async with database.writing() as connection:
        await picture(connection, "D1", "t", NOW, "r")
        await trigger_outcomes.captured(connection, "D1", "t", NOW, "manual")
    right = await shown(database, "D1")
    async with database.writing() as connection:
        held = await device_states.locked(connection, ["D1"])
        wrong = counters.Outcome("D1", 99, NOW, None, ("failed", "spool_full"))
        await counters.count_outcomes(connection, held, [wrong])
        await device_states.set_newest(connection, "D1", None)
    assert await shown(database, "D1") != right
    async with database.writing() as connection:
        assert await counters.recount(connection, "D1", NOW)
        assert not await counters.recount(connection, "D1", NOW)
    assert await shown(database, "D1") == right
    async with database.reading() as connection:
        assert (await device_states.find(connection, "D1")).newest_record_id == "r"


async def test_the_newest_picture_is_the_last_that_is_kept(start: Any) -> None:
    database = await made_devices(start)

    async def newest() -> str | None:
        async with database.reading() as connection:
            return (await device_states.find(connection, "D1")).newest_record_id

    async with database.writing() as connection:
        for age, record_id in ((1, "b"), (3, "c"), (4, "d")):  # received late, or by a clock that was put back
            await picture(connection, "D1", None, NOW - timedelta(days=age), record_id)
    assert await newest() == "d"
    for border, left in ((3.5, "c"), (2, "b"), (0, None)):
        async with database.writing() as connection:
            assert len(await captures.delete_older(connection, NOW - timedelta(days=border))) == 1
        assert await newest() == left
    async with database.writing() as connection:
        await picture(connection, "D1", None, NOW, "e")
    assert await newest() == "e"


async def test_pictures_that_come_and_go_at_once_leave_the_newest_that_is_there(start: Any) -> None:
    database = await made_devices(start)

    async def store(number: int) -> None:
        old = number % 3 == 0
        async with database.writing() as connection:
            at = NOW - timedelta(days=9 if old else 0)
            await picture(connection, "D1", f"t{number}", at, f"r{number}")
            await trigger_outcomes.captured(connection, "D1", f"t{number}", at, "manual")

    async def clear() -> None:
        for _ in range(6):
            async with database.writing() as connection:
                await captures.delete_older(connection, NOW - timedelta(days=5), limit=3)

    await asyncio.gather(*(store(number) for number in range(24)), clear(), clear())
    await nothing_is_wrong(database, NOW)


async def test_two_processes_that_note_the_same_devices_at_once_do_not_wait_for_each_other_for_ever(start: Any) -> None:
    """In 5 of 6 rounds one was ended by PostgreSQL while each wrote in the order that it had noted them in."""
    cloud = await start()
    keys = [f"D{number:05}" for number in range(3000)]
    async with cloud.cloud.database.writing() as connection:
        await create_many(connection, keys, NOW)
    other = Database(cloud.cloud.settings.engine_url())

    async def note(database: Database, in_order: list[str], at: datetime) -> None:
        async with database.writing() as connection:
            await device_states.mark_seen(connection, in_order, at)

    try:
        for number in range(6):
            at = NOW + timedelta(seconds=number)
            await asyncio.gather(note(cloud.cloud.database, keys, at), note(other, keys[::-1], at))
        async with other.reading() as connection:
            assert (await device_states.find(connection, keys[-1])).last_seen_at == at
    finally:
        await other.close()


async def test_outcomes_expiry_streams_and_retention_of_two_processes_end_without_a_deadlock(start: Any) -> None:
    cloud = await start()
    both = [cloud.cloud.database, Database(cloud.cloud.settings.engine_url())]
    keys = [f"D{number}" for number in range(12)]
    async with both[0].writing() as connection:
        for key in keys:
            await devices.create(connection, key, NOW)
    ids: dict[str, list[str]] = {key: [] for key in keys}
    seqs: list[int] = []
    for key in keys:
        async with both[0].writing() as connection:
            for _ in range(12):
                made, _ = await trigger_creation.create(connection, key, NOW - timedelta(hours=1), 60.0)
                ids[key].append(made.trigger_id)
                seqs.append(made.seq)

    async def device(database: Database, key: str) -> None:
        for number, trigger_id in enumerate(ids[key]):
            async with database.writing() as connection:
                if number % 2:
                    said = OutcomeReport(status="failed", reason=Reason.CAMERA_ABSENT)
                    await trigger_outcomes.reported(connection, key, trigger_id, said, NOW)
                else:
                    await picture(connection, key, trigger_id, NOW - timedelta(days=number), f"{key}-{number}")
                    await trigger_outcomes.captured(connection, key, trigger_id, NOW, "manual")

    async def beside(database: Database, in_order: list[str], sent: list[int]) -> None:
        for _ in range(8):
            async with database.writing() as connection:
                await triggers.mark_sent(connection, sent, NOW)
            async with database.writing() as connection:
                await device_states.mark_seen(connection, in_order, NOW)
            async with database.writing() as connection:
                await trigger_outcomes.expire_silent(connection, NOW, NOW, limit=40)
            async with database.writing() as connection:
                await captures.delete_older(connection, NOW - timedelta(days=6), limit=5)
            async with database.writing() as connection:
                await trigger_creation.create(connection, in_order[0], NOW, 60.0)

    work = [device(both[number % 2], key) for number, key in enumerate(keys)]
    await asyncio.gather(*work, beside(both[0], keys, seqs), beside(both[1], keys[::-1], seqs[::-1]))
    await both[1].close()
    for key in keys:
        async with both[0].writing() as connection:
            assert not await counters.recount(connection, key, NOW), key


async def test_retention_removes_in_small_batches_and_counts_stay(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = await start(retention_days=2.0)
    async with cloud.cloud.database.writing() as connection:
        await devices.create(connection, "D1", NOW)
        for number in range(7):
            await picture(connection, "D1", None, cloud.time() - timedelta(days=3), f"r{number}")
    monkeypatch.setattr(housekeeping, "RETENTION_BATCH", 3)
    assert await housekeeping.remove_old(cloud.cloud, [], cloud.time()) == 7
    async with cloud.cloud.database.reading() as connection:
        week = (cloud.time() - timedelta(days=7)).date()
        assert (await counters.since(connection, "D1", week)).captures == 7, "removed, but it was received"
        assert await captures.page(connection, Scope()) == []


async def test_days_of_long_ago_are_added_up_by_month_and_late_outcomes_still_count(start: Any) -> None:
    cloud = await start()
    database = cloud.cloud.database
    long_ago = cloud.time().replace(day=15) - timedelta(days=100)
    async with database.writing() as connection:
        for key in DEVICES:
            await devices.create(connection, key, NOW)
        for days in range(5):
            made, _ = await trigger_creation.create(connection, "D1", long_ago - timedelta(days=days), 60.0)
        assert len(await trigger_outcomes.expire_silent(connection, cloud.time(), cloud.time())) == 5
    assert await housekeeping.roll_up(cloud.cloud) == 5 and await housekeeping.roll_up(cloud.cloud) == 0
    async with database.writing() as connection:
        await trigger_outcomes.captured(connection, "D1", made.trigger_id, cloud.time(), "manual")
        assert (await counters.since(connection, "D1", long_ago.date().replace(day=1))) == Figures(1, 0, 4)
    assert await housekeeping.roll_up(cloud.cloud) == 1, "what came for a day that was added up before"
    await nothing_is_wrong(database, cloud.time())
