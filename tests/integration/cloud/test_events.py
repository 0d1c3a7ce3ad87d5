"""`GET /v1/events`: what happens is told once it is committed, in an order in which nothing is missed."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, event, insert

from tests.integration.cloud.test_alert_rounds import DEAD, FINE, Fleet
from tests.integration.cloud.test_organisations import program
from tests.support.event_reader import EventReader, reading
from visant_cloud.access import revocation
from visant_cloud.access.revocation import Revocation
from visant_cloud.commands.expiry import Expiry
from visant_cloud.database.engine import Database
from visant_cloud.events import log, types
from visant_cloud.housekeeping import forget_events_beyond, forget_old
from visant_cloud.store import devices, events, trigger_creation
from visant_cloud.store.tables import api_tokens, device_groups, device_tags, group_members
from visant_cloud.store.trigger_creation import Slot

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
on_postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


async def say(database: Database, *words: str, key: str = "D1") -> None:
    """Events of a type of the tests' own, in one transaction."""
    async with database.writing() as connection:
        await events.note(connection, *(note(word, key) for word in words))


def note(word: str, key: str = "D1") -> types.Note:
    return types.of_device("said", key, NOW, {"word": word})


async def numbered(database: Database) -> list[tuple[int, str]]:
    """(number, word) of all that has one."""
    while True:
        async with database.writing() as connection:
            if not await events.number(connection):
                break
    rows = await events.after(database, 0, 10_000)
    return [(row.event_id, str(row.data.get("word", row.type))) for row in rows]


async def words(reader: EventReader, count: int) -> list[str]:
    return [one["data"]["word"] for one in await reader.events(count)]


async def test_a_trigger_and_its_picture_are_told_in_order_with_all_that_the_page_says(start: Any) -> None:
    cloud = await start()
    await cloud.register("D1")
    async with reading(cloud.client) as reader:
        first = await reader.next()
        assert first["type"] == "connected" and first["last_id"] == reader.id
        trigger_id = await cloud.trigger("D1")
        record = (await cloud.capture("D1", trigger_id)).json()["record_id"]
        created, stored, ended = await reader.events(3)
    assert [one["type"] for one in (created, stored, ended)] == ["trigger.created", "capture.stored", "trigger.ended"]
    assert [one["id"] for one in (created, stored, ended)] == [first["last_id"] + n for n in (1, 2, 3)]
    assert reader.id == ended["id"]
    assert {one["device_id"] for one in (created, stored, ended)} == {"D1"}
    row = await cloud.row("D1", trigger_id)
    assert created["at"] == row["created_at"] and created["data"]["expires_at"] == row["expires_at"]
    assert created["data"]["trigger_id"] == stored["data"]["trigger_id"] == ended["data"]["trigger_id"] == trigger_id
    assert stored["data"]["record_id"] == record
    assert (ended["data"]["status"], ended["data"]["reason"], ended["data"]["provisional"]) == ("executed", None, False)


async def test_every_end_of_a_trigger_is_told_and_what_changes_nothing_is_not(start: Any) -> None:
    cloud = await start()
    await cloud.register("D1")
    silent, failed = await cloud.triggers("D1", 2)
    report = {"status": "failed", "reason": "camera_absent", "at": cloud.time().isoformat()}
    for _ in range(2):
        await cloud.client.post(f"/v1/devices/D1/triggers/{failed}/outcome", json=report)
    cloud.time.pass_(200)
    await Expiry(cloud.cloud.database, cloud.time, 60).sweep()
    for _ in range(2):
        await cloud.capture("D1", silent)
    async with reading(cloud.client, after=0, types="trigger.ended") as reader:
        await reader.next()
        said = [one["data"] for one in await reader.events(3)]
    assert [(one["trigger_id"], one["status"], one["reason"]) for one in said] == [
        (failed, "failed", "camera_absent"),
        (silent, "expired", "device_silent"),
        (silent, "executed", None),
    ]
    assert len([word for _, word in await numbered(cloud.cloud.database) if word == "capture.stored"]) == 1


async def test_slots_are_told_once_whoever_fires_them(start: Any) -> None:
    cloud = await start()
    await cloud.register("D1")
    slot = Slot(7, "D1", NOW, 60.0)
    for _ in range(2):
        async with cloud.cloud.database.writing() as connection:
            await trigger_creation.create_scheduled(connection, [slot], cloud.time())
    assert [word for _, word in await numbered(cloud.cloud.database)] == ["trigger.created"]


async def test_a_reader_goes_on_from_where_it_was(start: Any) -> None:
    cloud = await start()
    database = cloud.cloud.database
    await say(database, "a", "b")
    async with reading(cloud.client, after=0) as reader:
        assert (await reader.next())["type"] == "connected"
        assert await words(reader, 2) == ["a", "b"]
    known = reader.id or 0
    await say(database, "c", "d")
    async with reading(cloud.client, after=known) as reader:
        assert (await reader.next())["oldest_id"] == known - 1
        assert await words(reader, 2) == ["c", "d"]
    # a browser comes back to the address that it was given, with the header
    async with reading(cloud.client, {"Last-Event-ID": str(known + 1)}, after=known) as reader:
        await reader.next()
        await say(database, "e")
        assert await words(reader, 2) == ["d", "e"]


async def test_a_ping_moves_the_place_to_go_on_from_past_what_a_reader_does_not_want(start: Any) -> None:
    cloud = await start(ping_every=0.2)
    async with reading(cloud.client, types="alert.*") as reader:
        before = (await reader.next())["last_id"]
        await say(cloud.cloud.database, "a", "b")
        async with asyncio.timeout(60):
            while reader.id != before + 2:
                assert (await reader.next())["type"] == "ping"


async def test_a_gap_is_said_with_the_oldest_number_that_is_kept(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = await start()
    database = cloud.cloud.database
    await say(database, *"abcdef")
    first = (await numbered(database))[0][0]
    monkeypatch.setattr(events.forget_beyond, "__defaults__", (2,))
    await forget_events_beyond(cloud.cloud)
    assert [word for _, word in await numbered(database)] == ["e", "f"]
    async with reading(cloud.client, after=first) as reader:
        await reader.next()
        assert await reader.event() == {"type": "gap", "after": first, "oldest_id": first + 4}
        assert await words(reader, 2) == ["e", "f"]
    for known in (0, first + 3):  # all that is kept; and who knows all that went
        async with reading(cloud.client, after=known) as reader:
            await reader.next()
            assert await words(reader, 2) == ["e", "f"]
    async with reading(cloud.client, after=first + 99) as reader:  # of a database that is no more
        await reader.next()
        assert await reader.event() == {"type": "gap", "after": first + 99, "oldest_id": None}
        await say(database, "g")
        assert await words(reader, 1) == ["g"]


async def test_old_events_go_and_their_numbers_are_never_given_again(start: Any) -> None:
    cloud = await start()
    database = cloud.cloud.database
    await say(database, "a", "b")
    last = (await numbered(database))[-1][0]
    await forget_old(cloud.cloud, NOW + timedelta(days=events.KEEP_DAYS, seconds=1))
    assert await numbered(database) == []
    await say(database, "c")
    assert await numbered(database) == [(last + 1, "c")]
    async with reading(cloud.client, after=last - 1) as reader:
        await reader.next()
        assert (await reader.event())["type"] == "gap"
        assert await words(reader, 1) == ["c"]


@on_postgresql
async def test_who_commits_late_gets_a_higher_number_than_what_was_read_before(start: Any) -> None:
    """A sequence drawn in the transaction would have given the first the lower one, and the reader had missed it."""
    cloud = await start()
    database = cloud.cloud.database
    async with reading(cloud.client) as reader:
        await reader.next()
        async with database.writing() as slow:
            await events.note(slow, note("began first"))
            await say(database, "began later")
            assert await words(reader, 1) == ["began later"]
        assert await words(reader, 1) == ["began first"]


@on_postgresql
async def test_several_who_number_at_once_give_each_note_one_number_and_leave_none_out(start: Any) -> None:
    cloud = await start()
    database = cloud.cloud.database

    async def worker(name: int) -> None:
        for n in range(20):
            await say(database, f"{name}.{n}")
            async with database.writing() as connection:
                await events.number(connection, 3)

    await asyncio.gather(*(worker(name) for name in range(5)))
    found = await numbered(database)
    assert [number for number, _ in found] == list(range(found[0][0], found[0][0] + 100))
    assert sorted(word for _, word in found) == sorted(f"{name}.{n}" for name in range(5) for n in range(20))
    for name in range(5):  # what followed from something has the higher number
        mine = [word for _, word in found if word.startswith(f"{name}.")]
        assert mine == [f"{name}.{n}" for n in range(20)]


class Killed(Exception):
    """In the middle of a transaction."""


async def test_what_ends_in_the_middle_of_numbering_has_numbered_nothing(start: Any) -> None:
    cloud = await start()
    database = cloud.cloud.database
    await say(database, "a")
    first = (await numbered(database))[0][0]
    await say(database, "b", "c")

    async def cut_off() -> None:
        async with database.writing() as connection:
            assert await events.number(connection) == 2
            raise Killed

    with pytest.raises(Killed):
        await cut_off()
    assert await numbered(database) == [(first + n, word) for n, word in enumerate("abc")]


async def test_what_is_rolled_back_did_not_happen(start: Any) -> None:
    cloud = await start()

    async def cut_off() -> None:
        async with cloud.cloud.database.writing() as connection:
            await events.note(connection, note("never"))
            raise Killed

    with pytest.raises(Killed):
        await cut_off()
    assert await numbered(cloud.cloud.database) == []


@on_postgresql
async def test_a_trigger_and_a_picture_cost_no_statement_more_than_before_there_were_events(start: Any) -> None:
    cloud = await start()
    await cloud.register("D1")
    database, said = cloud.cloud.database, []
    for engine in (database.engine, database.single):
        event.listen(
            engine.sync_engine, "before_cursor_execute", lambda connection, cursor, text, *more: said.append(text)
        )

    def ours(table: str) -> list[str]:
        return [text for text in said if table in text and "event_counter" not in text and "DELETE" not in text]

    assert await trigger_creation.create_at_once(database, "D1", cloud.time(), 60.0, None) is not None
    assert len(ours("INSERT INTO triggers")) == len(ours("event_notes")) == 1
    said.clear()
    (trigger_id,) = await cloud.triggers("D1", 1)
    said.clear()
    await cloud.capture("D1", trigger_id)
    assert all("INSERT INTO captures" in text or "UPDATE triggers" in text for text in ours("event_notes"))
    assert len(ours("event_notes")) == 2


async def test_filters_must_all_fit(start: Any) -> None:
    cloud = await start(ping_every=0.2)
    database = cloud.cloud.database
    async with database.writing() as connection:
        for key in ("D1", "D2", "D3"):
            await devices.create(connection, key, NOW)
        await devices.change(connection, "D1", site="Graz")
        await devices.change(connection, "D2", site="Graz")
        group = {"group_id": 1, "organisation_id": "default", "name": "north", "created_at": NOW}
        await connection.execute(insert(device_groups), group)
        for key in ("D2", "D3"):
            member = {"group_id": 1, "organisation_id": "default", "device_key": key}
            await connection.execute(insert(group_members), member)
        await connection.execute(insert(device_tags), {"organisation_id": "default", "device_key": "D3", "tag": "door"})
    for key in ("D1", "D2", "D3"):
        await say(database, key, key=key)
    last = (await numbered(database))[-1][0]
    chosen: dict[tuple[tuple[str, Any], ...], list[str]] = {
        (("device_id", "D2"),): ["D2"],
        (("site", "Graz"),): ["D1", "D2"],
        (("group", "north"),): ["D2", "D3"],
        (("tag", "door"),): ["D3"],
        (("group", "north"), ("site", "Graz")): ["D2"],
        (("group", "north"), ("types", "alert.*")): [],
        (("site", "Wien"),): [],
    }
    for filters, expected in chosen.items():
        async with reading(cloud.client, after=0, **dict(filters)) as reader:
            await reader.next()
            assert await words(reader, len(expected)) == expected, filters
            assert (await reader.next())["type"] == "ping" and reader.id == last, filters
    for wrong in ("alert", "trigger.begun", "trigger.created,,", "*"):
        answer = await cloud.client.get("/v1/events", params={"types": wrong})
        assert answer.status_code == 422 and "is none of trigger.created" in answer.json()["detail"], wrong
    for query in ({"after": "-1"}, {"after": "x"}, {"after": str(2**63)}):
        assert (await cloud.client.get("/v1/events", params=query)).status_code == 422
    assert (await cloud.client.get("/v1/events", headers={"Last-Event-ID": "one"})).status_code == 422
    for unknown in ({"device_id": "a b"}, {"group": "south"}):
        assert (await cloud.client.get("/v1/events", params=unknown)).status_code == 404
    head = await cloud.client.head("/v1/events")
    assert head.status_code == 405 and "HEAD" not in head.headers["Allow"]


async def test_another_organisations_events_are_nobody_elses_and_a_revoked_reader_is_out(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = await start(auth="required")
    database = cloud.cloud.database
    acme, other = await program(cloud, "acme"), await program(cloud, "other")
    assert (await cloud.client.get("/v1/events")).status_code == 401
    await say(database, "acme's", key="acme~D1")
    await say(database, "other's", key="other~D1")
    async with reading(cloud.client, other, after=0) as theirs, reading(cloud.client, acme, after=0) as reader:
        await reader.next()
        await theirs.next()
        found = await reader.event()
        assert (found["device_id"], found["data"]["word"]) == ("D1", "acme's")
        assert await words(theirs, 1) == ["other's"]
        monkeypatch.setattr(revocation, "_ALL_EVERY", 0.0)
        look = Revocation(cloud.cloud).look
        await look()
        async with database.writing() as connection:
            await connection.execute(delete(api_tokens).where(api_tokens.c.organisation_id == "acme"))
        await look()
        assert await reader.ended()
        await say(database, "still", key="other~D1")
        assert await words(theirs, 1) == ["still"]


async def test_one_reader_has_so_many_streams_and_no_more(start: Any) -> None:
    cloud = await start()
    cloud.cloud.shares.readers.each = 2
    async with reading(cloud.client) as one, reading(cloud.client) as two:
        await one.next()
        await two.next()
        refused = await cloud.client.get("/v1/events")
        assert refused.status_code == 429 and "Retry-After" in refused.headers
    async with asyncio.timeout(60):
        while (await cloud.client.get("/v1/events", params={"types": "none"})).status_code != 422:
            pass
        while cloud.cloud.shares.readers._held:
            await asyncio.sleep(0.01)
    async with reading(cloud.client) as again:
        assert (await again.next())["type"] == "connected"


async def test_who_is_further_behind_than_memory_reads_the_database_and_is_told_what_went(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "HELD", 10)
    monkeypatch.setattr(log, "PAGE", 4)
    cloud = await start()
    database = cloud.cloud.database
    everything = [str(n) for n in range(35)]
    async with reading(cloud.client) as live:
        await live.next()
        for word in everything:
            await say(database, word)
        assert await words(live, 35) == everything
        async with reading(cloud.client, after=0) as late:
            await late.next()
            assert await words(late, 35) == everything


async def test_the_streams_end_when_the_cloud_does(start: Any) -> None:
    cloud = await start()
    async with reading(cloud.client) as reader:
        await reader.next()
        cloud.cloud.hub.refuse()
        cloud.cloud.events.close()
        assert await reader.ended()
    assert (await cloud.client.get("/v1/events")).status_code == 503


async def test_devices_that_come_go_and_fall_ill_are_told_once_also_by_whoever_takes_over(start: Any) -> None:
    fleet = Fleet(await start())
    database = fleet.cloud.database
    await fleet.devices("D1", "D2")
    await fleet.say("D1", FINE)
    await fleet.say("D2", {"camera": {"state": "ok"}})
    await fleet.pass_(10)
    await fleet.say("D1", DEAD)
    await fleet.pass_(10)
    fleet.cut("D2")
    await fleet.pass_(20)  # whoever is back within half a minute was never away
    fleet.connect("D2")
    await fleet.pass_(20)
    fleet.cut("D2")
    await fleet.pass_(120)
    fleet.rounds._engine = None  # another process goes on
    await fleet.pass_(60)
    await fleet.pass_(60)
    fleet.connect("D2")
    await fleet.pass_(10)
    await numbered(database)
    told = [
        (row.type.partition(".")[2], row.device_key, row.data.get("state"))
        for row in await events.after(database, 0, 100)
        if row.type.startswith("device.")
    ]
    assert sorted(told[:4]) == [
        *(("connected", key, None) for key in ("D1", "D2")),
        *(("state", key, "ok") for key in ("D1", "D2")),
    ]
    assert told[4:] == [
        ("state", "D1", "degraded"),
        ("disconnected", "D2", None),
        ("state", "D2", "silent"),
        ("connected", "D2", None),
        ("state", "D2", "ok"),
    ]


async def test_alerts_are_told_as_they_open_clear_and_are_acknowledged_and_settings_as_they_are_wanted(
    start: Any,
) -> None:
    running = await start()
    fleet = Fleet(running)
    await fleet.devices("D1", site="Graz")
    await fleet.say("D1", DEAD)
    await fleet.pass_(300)
    (alert,) = await fleet.all()
    answer = await running.client.post(f"/v1/alerts/{alert.alert_id}/acknowledge", json={"note": "on my way"})
    assert answer.status_code == 200
    await fleet.say("D1", FINE)
    await fleet.pass_(900)
    await running.client.put("/v1/devices/D1/config", json={"CAMERA_WARMUP": "3"})
    await numbered(fleet.cloud.database)
    rows = await events.after(fleet.cloud.database, 0, 100)
    found = [row for row in rows if row.type.startswith("alert.")]
    assert [row.type for row in found] == ["alert.opened", "alert.acknowledged", "alert.cleared"]
    assert {row.data["alert_id"] for row in found} == {alert.alert_id}
    assert found[0].data["kind"] == "camera" and found[0].data["site"] == "Graz"
    assert found[1].data["note"] == "on my way"
    (settings,) = [row for row in rows if row.type == "device.settings"]
    assert settings.data["config"] == {"CAMERA_WARMUP": "3"}


async def test_a_database_that_does_not_answer_delays_a_stream_and_ends_it_not(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = await start()
    database = cloud.cloud.database
    monkeypatch.setattr(log, "TICK", 0.05)
    async with reading(cloud.client) as reader:
        await reader.next()
        read, broken = database.read, asyncio.Event()

        async def away(*given: Any) -> Any:
            broken.set()
            raise OSError("gone")

        monkeypatch.setattr(database, "read", away)
        database.written.set()
        async with asyncio.timeout(60):
            await broken.wait()
        monkeypatch.setattr(database, "read", read)
        await say(database, "a")
        assert await words(reader, 1) == ["a"]
