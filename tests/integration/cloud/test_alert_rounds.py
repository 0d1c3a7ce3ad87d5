"""Rounds of alerts on a real database: what they open, clear and put into the outbox, and who of several does it."""

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, delete, func, insert, select, update

from tests.support.hard_network import Authority
from visant_cloud import housekeeping
from visant_cloud.alerts import kinds, rounds
from visant_cloud.alerts.certificate import Validity
from visant_cloud.alerts.certificate_watch import CertificateWatch
from visant_cloud.alerts.rounds import AlertRounds
from visant_cloud.alerts.rules import Rules
from visant_cloud.alerts.telling import BACK_WINDOW, SITE_WINDOW, TOGETHER
from visant_cloud.store import (
    alert_facts,
    alert_rules,
    channels,
    device_states,
    devices,
    leases,
    organisations,
    schedules,
    trigger_creation,
    trigger_outcomes,
)
from visant_cloud.store import alerts as kept
from visant_cloud.store.alerts import Alert
from visant_cloud.store.keys import device_id_of, organisation_of
from visant_cloud.store.scope import Scope
from visant_cloud.store.tables import alerts, api_tokens, deliveries, notices, silences
from visant_cloud.store.tables import device_states as states
from visant_cloud.store.tables import devices as devices_table
from visant_cloud.store.trigger_creation import Slot

# metered: a report is missed after hours only
DEAD = {"metered": True, "camera": {"state": "camera_absent"}, "state": "degraded"}
FINE = {"metered": True, "camera": {"state": "ok"}, "state": "ok"}
on_postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)


class Fleet:
    """A cloud with devices, whose streams and clocks the test moves, and the rounds of one process."""

    def __init__(self, running: Any, process_id: str = "one") -> None:
        self.cloud = running.cloud
        self.time = running.time
        self.at = 1000.0
        self.rounds = AlertRounds(running.cloud, process_id, lambda: self.at)

    async def devices(self, *keys: str, site: str | None = None) -> None:
        now = self.cloud.now()
        flags = {"active": True, "old_client": False, "token_revoked": False, "created_at": now, "site": site}
        rows = [{"device_key": k, "organisation_id": organisation_of(k), "device_id": device_id_of(k)} for k in keys]
        async with self.cloud.database.writing() as connection:
            await connection.execute(insert(devices_table), [{**row, **flags} for row in rows])
            seen = [{"device_key": k, "organisation_id": organisation_of(k), "last_seen_at": now} for k in keys]
            await connection.execute(insert(states), [{**row, "strip": [], "outcomes": {}} for row in seen])
        self.connect(*keys)

    def connect(self, *keys: str) -> None:
        self.cloud.hub.elsewhere = self.cloud.hub.elsewhere | dict.fromkeys(keys, 1)

    def cut(self, *keys: str) -> None:
        self.cloud.hub.elsewhere = {k: n for k, n in self.cloud.hub.elsewhere.items() if k not in keys}

    async def say(self, key: str, telemetry: dict[str, Any]) -> None:
        async with self.cloud.database.writing() as connection:
            await device_states.note_telemetry(connection, key, telemetry, self.cloud.now())

    async def channel(self, name: str = "hook", organisation_id: str = "default", **more: Any) -> int:
        values = {"organisation_id": organisation_id, "type": "webhook", "name": name, "target": "https://x.example/"}
        given = {**values, "active": True, "created_at": self.cloud.now(), **more}
        async with self.cloud.database.writing() as connection:
            made = await channels.create(connection, given)
        assert made is not None
        return made.channel_id

    async def pass_(self, seconds: float, pace: float = 30.0) -> None:
        """Time goes by, with a round every `pace` seconds."""
        await self.rounds.round()
        while seconds > 0:
            self.at += min(pace, seconds)
            self.time.pass_(min(pace, seconds))
            seconds -= pace
            await self.rounds.round()

    async def open(self) -> list[tuple[str, str]]:
        return sorted((one.subject, one.kind) for one in await self.all() if one.cleared_at is None)

    async def all(self) -> list[Alert]:
        async with self.cloud.database.reading() as connection:
            rows = await connection.execute(select(*kept._COLUMNS).order_by(alerts.c.alert_id))
            return [Alert(*row) for row in rows]

    async def told(self) -> list[str]:
        """The titles of all notices."""
        async with self.cloud.database.reading() as connection:
            return list((await connection.execute(select(notices.c.title).order_by(notices.c.notice_id))).scalars())

    async def acknowledge(self, alert: Alert) -> None:
        async with self.cloud.database.writing() as connection:
            await kept.acknowledge(
                connection, Scope(alert.organisation_id), alert.alert_id, "Ada", None, self.cloud.now()
            )

    async def silence(self, seconds: float, **which: str) -> None:
        now = self.cloud.now()
        row = {"organisation_id": "default", "until": now + timedelta(seconds=seconds), "created_by": "Ada"}
        async with self.cloud.database.writing() as connection:
            await kept.add_silence(connection, {**row, "created_at": now, **which})

    async def choose(self, organisation_id: str = "default", **rules: Any) -> None:
        async with self.cloud.database.writing() as connection:
            await alert_rules.put(connection, organisation_id, Rules(**rules))


def numbered(count: int, first: int = 1) -> list[str]:
    return [f"D{n:02}" for n in range(first, first + count)]


async def count_of(fleet: Fleet, table: Table) -> int:
    async with fleet.cloud.database.reading() as connection:
        found: int = (await connection.execute(select(func.count()).select_from(table))).scalar_one()
    return found


async def sent_to(fleet: Fleet) -> list[int]:
    """The channels, in the order of the deliveries."""
    async with fleet.cloud.database.reading() as connection:
        query = select(deliveries.c.channel_id).order_by(deliveries.c.delivery_id)
        return list((await connection.execute(query)).scalars())


async def test_a_dead_camera_is_told_once_and_once_more_when_it_is_well(start: Any) -> None:
    fleet = Fleet(await start())
    await fleet.devices("D1", "D2")
    await fleet.channel()
    await fleet.say("D1", DEAD)
    await fleet.pass_(300)
    assert await fleet.open() == [("D1", "camera")]
    [one] = await fleet.all()
    assert one.detail == "camera_absent" and "Plug the camera in" in one.remedy
    await fleet.say("D1", FINE)
    await fleet.pass_(300)
    assert await fleet.told() == [
        "Alert: D1: the camera gives no pictures",
        "Recovered: D1: the camera gives no pictures",
    ]
    assert await fleet.open() == [] and await kept.not_done(fleet.cloud.database) == []


async def test_forty_devices_behind_one_router_are_one_message_and_one_when_they_are_back(start: Any) -> None:
    fleet = Fleet(await start())
    hall, alone = numbered(40), "ALONE"
    await fleet.devices(*hall, site="Hall 3")
    await fleet.devices(alone)
    await fleet.channel()
    await fleet.pass_(60)
    fleet.cut(*hall[:20])
    await fleet.pass_(20, 5)
    fleet.cut(*hall[20:])
    await fleet.pass_(200 + SITE_WINDOW, 5)
    assert await fleet.told() == ["Alert: 40 devices at Hall 3: silent"]
    fleet.connect(*hall[:39])
    await fleet.pass_(60)
    assert len(await fleet.told()) == 1, "the last one may come yet"
    fleet.connect(hall[39])
    await fleet.pass_(10)
    assert (await fleet.told())[1:] == ["Recovered: 40 devices at Hall 3: silent"]
    fleet.cut(*hall[:3])
    await fleet.pass_(300)
    fleet.connect(*hall[:2])
    await fleet.pass_(BACK_WINDOW + 60)
    assert (await fleet.told())[2:] == [
        "Alert: 3 devices at Hall 3: silent",
        "Recovered: 2 devices at Hall 3: silent, 1 not yet",
    ]
    fleet.connect(hall[2])
    await fleet.pass_(30)
    assert (await fleet.told())[4:] == ["Recovered: D03: silent"]


async def test_a_network_that_goes_as_a_whole_is_one_message(start: Any) -> None:
    fleet = Fleet(await start())
    everyone = numbered(TOGETHER + 1)
    await fleet.devices(*everyone)
    await fleet.channel()
    await fleet.pass_(30)
    fleet.cut(*everyone)
    await fleet.pass_(300)
    assert await fleet.told() == [f"Alert: {TOGETHER + 1} devices: silent"]


async def test_what_is_silenced_acknowledged_or_quiet_is_told_later_if_it_is_still_so(start: Any) -> None:
    fleet = Fleet(await start())
    await fleet.devices("D1", "D2", "D3", site="Hall 3")
    await fleet.channel()
    await fleet.silence(1200, device_key="D1", kind="camera")
    for name in ("D1", "D2"):
        await fleet.say(name, DEAD)
    await fleet.pass_(300)
    assert await fleet.told() == ["Alert: D2: the camera gives no pictures"]
    assert len(await fleet.open()) == 2, "a silence hides nothing"
    await fleet.pass_(1000, 100)
    assert (await fleet.told())[1:] == ["Alert: D1: the camera gives no pictures"]
    await fleet.silence(3600, site="Hall 3")
    await fleet.say("D3", DEAD)
    await fleet.say("D2", FINE)
    await fleet.pass_(600)
    assert len(await fleet.told()) == 2
    [last] = [one for one in await fleet.all() if one.subject == "D3"]
    await fleet.acknowledge(last)
    await fleet.pass_(3600, 300)
    assert len(await fleet.told()) == 2, "who has seen it is not told, and nobody of a recovery within the silence"
    assert await fleet.open() == [("D1", "camera"), ("D3", "camera")]


async def test_at_night_nobody_is_told_and_in_the_morning_of_what_is_left(start: Any) -> None:
    fleet = Fleet(await start())
    await fleet.devices("D1", "D2")
    await fleet.channel()
    now = fleet.cloud.now()
    begin, end = ((now + timedelta(hours=h)).strftime("%H:%M") for h in (-1, 1))
    await fleet.choose(quiet_hours={"begin": begin, "end": end})
    for name in ("D1", "D2"):
        await fleet.say(name, DEAD)
    await fleet.pass_(300)
    await fleet.say("D2", FINE)
    await fleet.pass_(600)
    assert await fleet.told() == [] and await fleet.open() == [("D1", "camera")]
    await fleet.say("D1", DEAD)
    await fleet.pass_(3600, 300)
    assert "Alert: D1: the camera gives no pictures" in await fleet.told()
    assert not any("D2" in title for title in await fleet.told())


async def test_each_organisation_is_told_of_its_own_and_a_channel_of_what_it_wants(start: Any) -> None:
    fleet = Fleet(await start())
    async with fleet.cloud.database.writing() as connection:
        await organisations.create(connection, "acme", "Acme")
    await fleet.devices("D1", "acme~D1")
    heat = await fleet.channel("heat", kinds=["heat"])
    every = await fleet.channel("all")
    off = await fleet.channel("off", active=False)
    await fleet.choose("acme", off=["camera"])
    for name in ("D1", "acme~D1"):
        await fleet.say(name, {**DEAD, "temperature": 90.0})
    await fleet.pass_(700)
    assert await fleet.open() == [("D1", "camera"), ("D1", "heat"), ("acme~D1", "heat")]
    assert sorted(await sent_to(fleet)) == sorted([every, heat, every]) and off not in await sent_to(fleet)
    theirs = await fleet.channel("theirs", "acme")
    await fleet.pass_(30)
    assert len(await fleet.told()) == 3, "who makes a channel is told of what is open"
    assert (await sent_to(fleet))[-1] == theirs


async def test_a_dead_channel_is_an_alert_of_which_the_others_are_told(start: Any) -> None:
    fleet = Fleet(await start())
    bad, good = await fleet.channel("bad"), await fleet.channel("good")
    async with fleet.cloud.database.writing() as connection:
        for _ in range(channels.DEAD):
            await channels.note_answer(connection, bad, False, "HTTP 500", fleet.cloud.now())
    await fleet.pass_(60)
    [one] = await fleet.all()
    assert (one.kind, one.detail) == (kinds.CHANNEL_DEAD, "bad: HTTP 500")
    assert await sent_to(fleet) == [good]
    async with fleet.cloud.database.writing() as connection:
        await channels.note_answer(connection, bad, True, "HTTP 200", fleet.cloud.now())
    await fleet.pass_(60)
    assert await fleet.open() == []


async def test_a_full_disk_of_the_cloud_is_an_alert(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(await start(min_free_bytes=1 << 30))
    monkeypatch.setattr(fleet.cloud.pictures, "free_bytes", lambda: 1 << 29)
    await fleet.pass_(90)
    assert await fleet.open() == [("/cloud", "cloud_disk")]

    def gone() -> int:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(fleet.cloud.pictures, "free_bytes", gone)
    await fleet.pass_(3600, 600)
    assert await fleet.open() == [("/cloud", "cloud_disk")]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_certificate_that_is_served_and_about_to_expire_is_an_alert_until_a_new_one_is_served(
    start: Any, tmp_path: Path
) -> None:
    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(Authority(tmp_path).certificate("front", host="cams.example"))
    async with await asyncio.start_server(served, "127.0.0.1", 0, ssl=context) as front:
        port = front.sockets[0].getsockname()[1]
        fleet = Fleet(await start(certificate_at=f"cams.example@127.0.0.1:{port}"))
        watch = CertificateWatch(fleet.cloud)
        await watch.look()
    found = fleet.cloud.certificate
    assert found is not None and found.end > fleet.cloud.now()
    left = (found.end - fleet.cloud.now()).total_seconds()
    fleet.cloud.certificate = Validity(found.begin - timedelta(days=60), found.end)
    fleet.time.pass_(left - 60)
    await fleet.pass_(90)
    assert await fleet.open() == [("/cloud", "certificate")]
    [one] = await fleet.all()
    assert one.detail == f"expire{'d' if fleet.cloud.now() > found.end else 's'} at {found.end:%Y-%m-%d %H:%M UTC}"
    before = fleet.cloud.certificate
    with pytest.raises(OSError):
        await watch.look()
    assert fleet.cloud.certificate == before, "what cannot be reached stays as it was seen"
    fleet.cloud.certificate = Validity(fleet.cloud.now(), fleet.cloud.now() + timedelta(days=90))
    await fleet.pass_(700)
    assert await fleet.open() == []


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_token_that_is_about_to_expire_is_an_alert_until_it_is_removed(start: Any) -> None:
    fleet = Fleet(await start())
    now = fleet.cloud.now()
    row = {"organisation_id": "default", "created_at": now - timedelta(days=300)}
    rows = [
        {**row, "token_hash": "a" * 64, "name": "old", "expires_at": now + timedelta(days=3)},
        {**row, "token_hash": "b" * 64, "name": "new", "expires_at": now + timedelta(days=300)},
        {**row, "token_hash": "c" * 64, "name": "endless", "expires_at": None},
    ]
    async with fleet.cloud.database.writing() as connection:
        await connection.execute(insert(api_tokens), rows)
    await fleet.pass_(120)
    [one] = await fleet.all()
    assert (one.subject, one.kind) == ("/token/aaaaaaaaaaaa", "token") and one.detail.startswith("old: expires at ")
    async with fleet.cloud.database.writing() as connection:
        await connection.execute(delete(api_tokens).where(api_tokens.c.name == "old"))
    await fleet.pass_(120)
    assert await fleet.open() == []


async def test_a_summary_is_told_once_a_day(start: Any) -> None:
    fleet = Fleet(await start())
    await fleet.devices("D1")
    await fleet.channel()
    await fleet.say("D1", DEAD)
    await fleet.pass_(120)
    at = (fleet.cloud.now() + timedelta(minutes=10)).strftime("%H:%M")
    await fleet.choose(daily_summary={"at": at, "zone": "UTC"})
    await fleet.pass_(1200, 60)
    [_, summary] = await fleet.told()
    assert summary.startswith("Summary of ") and "1 open (0 acknowledged), 1 in the last 24 hours" in summary


async def test_an_alert_that_could_not_be_stored_is_stored_by_the_next_round(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet(await start())
    await fleet.devices("D1")
    await fleet.channel()
    await fleet.say("D1", DEAD)
    real = kept.open_alerts

    async def away(*_: Any) -> None:
        raise TimeoutError("the database is away")

    monkeypatch.setattr(kept, "open_alerts", away)
    with pytest.raises(TimeoutError):
        await fleet.pass_(120)
    monkeypatch.setattr(kept, "open_alerts", real)
    fleet.at += 5
    await fleet.rounds.round()
    assert await fleet.open() == [("D1", "camera")] and len(await fleet.told()) == 1


@on_postgresql
async def test_one_process_at_a_time_looks_and_another_takes_over(start: Any) -> None:
    running = await start()
    one, two = Fleet(running, "one"), Fleet(running, "two")
    await one.devices("D1")
    await one.channel()
    await one.rounds.round()
    await one.say("D1", DEAD)
    two.at += 500
    assert await two.rounds.round() == [] and two.rounds._engine is None
    await one.pass_(90)
    await one.rounds.leave()
    await two.rounds.round()
    assert two.rounds._engine is not None
    assert await leases.hold(one.cloud.database, "alerts", "one", rounds.LEASE) is False
    await two.pass_(600)
    assert len(await two.told()) == 1, "who takes over tells nothing twice"


@on_postgresql
async def test_two_processes_that_both_look_tell_everything_once(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def both(*_: Any) -> bool:
        return True

    monkeypatch.setattr(leases, "hold", both)
    running = await start()
    fleets = [Fleet(running, name) for name in ("one", "two")]
    await fleets[0].devices(*numbered(8))
    await fleets[0].channel()
    for name in numbered(8):
        await fleets[0].say(name, DEAD)
    for _ in range(30):
        for fleet in fleets:
            fleet.at += 10
        await asyncio.gather(*(fleet.rounds.round() for fleet in fleets))
    assert len(await fleets[0].open()) == 8 == len(await fleets[0].all()) == len(await fleets[0].told())


async def test_old_messages_and_alerts_are_forgotten(start: Any) -> None:
    fleet = Fleet(await start())
    await fleet.devices("D1")
    await fleet.channel()
    await fleet.say("D1", DEAD)
    await fleet.pass_(120)
    await fleet.say("D1", FINE)
    await fleet.pass_(300)
    async with fleet.cloud.database.writing() as connection:
        await connection.execute(update(deliveries).values(ended_at=fleet.cloud.now()))
    await fleet.silence(60)
    now = fleet.cloud.now() + timedelta(days=1)
    kept_messages, kept_alerts = (timedelta(days=one) for one in (housekeeping.MESSAGE_DAYS, housekeeping.ALERT_DAYS))
    await housekeeping.forget_old(fleet.cloud, now + kept_messages - timedelta(days=2))
    assert len(await fleet.told()) == 2 and await count_of(fleet, silences) == 1
    await housekeeping.forget_old(fleet.cloud, now + kept_messages)
    assert await fleet.told() == [] and await count_of(fleet, silences) == await count_of(fleet, deliveries) == 0
    assert len(await fleet.all()) == 1
    await housekeeping.forget_old(fleet.cloud, now + kept_alerts)
    assert await fleet.all() == []


async def test_a_missed_slot_is_read_from_the_ledger(start: Any) -> None:
    fleet = Fleet(await start())
    await fleet.devices("D1")
    now = fleet.cloud.now()
    async with fleet.cloud.database.writing() as connection:
        await schedules.put(connection, "D1", 86400.0, now + timedelta(days=1), now)
        schedule = await schedules.find(connection, "D1")
        assert schedule is not None
        await trigger_creation.create_scheduled(connection, [Slot(schedule.schedule_id, "D1", now, 60.0)], now)
        await trigger_outcomes.expire_silent(connection, now + timedelta(seconds=61), now)
    await fleet.pass_(60)
    # the first look leaves out what the cloud alone said of a device that it may not have heard
    assert await fleet.open() == []
    [told] = await alert_facts.told(fleet.cloud.database, ["D1"])
    assert told.slot is not None and told.slot.scheduled_for == now and told.slot.reason == "device_silent"


async def test_a_round_reads_a_line_a_device_and_all_of_who_changed(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet(await start())
    await fleet.devices(*numbered(20))
    asked: list[list[str]] = []
    real = alert_facts.told

    async def counted(database: Any, keys: Any) -> Any:
        asked.append(sorted(keys))
        return await real(database, keys)

    monkeypatch.setattr(alert_facts, "told", counted)
    await fleet.rounds.round()
    await fleet.rounds.round()
    await fleet.say("D05", FINE)
    fleet.cut("D07")
    await fleet.rounds.round()
    async with fleet.cloud.database.writing() as connection:
        await devices.change(connection, "D09", active=False)
    await fleet.rounds.round()
    assert asked == [numbered(20), ["D05"], ["D09"]], "who leaves is known already"
