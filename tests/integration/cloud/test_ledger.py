"""The ledger over the fleet, its export, and the slots of schedules."""

import asyncio
import csv
import io
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import OperationalError

from tests.integration.cloud.conftest import Running, until
from tests.support.many_devices import create_many
from visant_cloud.commands.scheduler import TriggerScheduler
from visant_cloud.routes import ledger as routes
from visant_cloud.store import ledger, schedules, tables, trigger_outcomes
from visant_cloud.store.chosen_devices import ChosenDevices
from visant_cloud.store.ledger import Place, Wanted
from visant_cloud.store.scope import Scope
from visant_cloud.views.ledger_export import WRITERS, Writer

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DEVICES = ("D1", "D2", "D3", "D4")
SITES = {"D1": "Zürich", "D2": "Zürich", "D3": "門"}
GROUPS = {"north": ("D1", "D3"), "south": ("D4",)}
TAGS = {"door": ("D2", "D3")}
OUTCOMES = (("executed", None), ("failed", "camera_absent"), ("expired", "device_silent"), ("pending", None))


async def fleet(one: Running) -> None:
    async with one.cloud.database.writing() as connection:
        await create_many(connection, DEVICES, NOON)
        for name, site in SITES.items():
            row = update(tables.devices).where(tables.devices.c.device_key == name)
            await connection.execute(row.values(site=site, name=f"=cmd {site}"))
        for group_id, (name, members) in enumerate(GROUPS.items(), 1):
            await connection.execute(
                insert(tables.device_groups).values(
                    organisation_id="default", group_id=group_id, name=name, created_at=NOON
                )
            )
            given = [{"organisation_id": "default", "group_id": group_id, "device_key": key} for key in members]
            await connection.execute(insert(tables.group_members), given)
        given = [{"organisation_id": "default", "device_key": key, "tag": tag} for tag in TAGS for key in TAGS[tag]]
        await connection.execute(insert(tables.device_tags), given)


def row(number: int, chance: random.Random, **more: Any) -> dict[str, Any]:
    """Some trigger; several are made at the same moment, and seq does not rise with it: a clock was set back."""
    status, reason = chance.choice(OUTCOMES)
    made = NOON + timedelta(seconds=chance.randrange(60) * 60)
    slotted = chance.random() < 0.5
    return {
        "organisation_id": "default",
        "device_key": chance.choice(DEVICES),
        "trigger_id": f"t{number}",
        "kind": "capture",
        "type": "scheduled" if slotted else "manual",
        "status": status,
        "reason": reason,
        "provisional": False,
        "created_at": made,
        "history": [],
        "expires_at": made + timedelta(seconds=60),
        "ended_at": None if status == "pending" else made + timedelta(seconds=5),
        "schedule_id": chance.choice((1, 2)) if slotted else None,
        "scheduled_for": made + timedelta(microseconds=number) if slotted else None,
        "gap": "late" if slotted and status == "executed" and chance.random() < 0.3 else None,
        **more,
    }


async def filled(one: Running, count: int = 200) -> list[dict[str, Any]]:
    """What is in the ledger, as it is to be read: the newest first."""
    await fleet(one)
    chance = random.Random(7)
    rows = [row(number, chance) for number in range(1, count + 1)]
    async with one.cloud.database.writing() as connection:
        await connection.execute(insert(tables.triggers), rows)
        picture = {"captured_at": NOON, "received_at": NOON, "bytes": 1, "width": 1, "height": 1, "sha256": ""}
        given = [
            {**picture, "organisation_id": "default", "record_id": f"r{one['trigger_id']}", "metadata": {}}
            | {name: one[name] for name in ("device_key", "trigger_id")}
            for one in rows
            if one["status"] == "executed"
        ]
        await connection.execute(insert(tables.captures), given)
        named = await connection.execute(select(tables.triggers.c.trigger_id, tables.triggers.c.seq))
        seqs = {trigger_id: seq for trigger_id, seq in named}
    return sorted(rows, key=lambda one: (one["created_at"], seqs[one["trigger_id"]]), reverse=True)


def of(*keys: str) -> Callable[[dict[str, Any]], bool]:
    return lambda one: one["device_key"] in keys


FILTERS: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = {
    "all": ({}, lambda one: True),
    "a device": ({"device_id": "D2"}, of("D2")),
    "several": ({"device_id": ["D2", "D4"]}, of("D2", "D4")),
    "a site": ({"site": "Zürich"}, of("D1", "D2")),
    "a group": ({"group": "north"}, of("D1", "D3")),
    "a tag": ({"tag": "door"}, of("D2", "D3")),
    "a tag of a group": ({"tag": "door", "group": "north"}, of("D3")),
    "what fits nothing": ({"site": "nowhere"}, of()),
    "a status": ({"status": "executed"}, lambda one: one["status"] == "executed"),
    "what failed": ({"status": "failed"}, lambda one: one["status"] == "failed"),
    "what waits": ({"status": "pending"}, lambda one: one["status"] == "pending"),
    "a reason": ({"reason": "device_silent"}, lambda one: one["reason"] == "device_silent"),
    "a reason on devices": (
        {"reason": "device_silent", "group": "north"},
        lambda one: one["reason"] == "device_silent" and one["device_key"] in ("D1", "D3"),
    ),
    "a type": ({"type": "manual"}, lambda one: one["type"] == "manual"),
    "a schedule": ({"schedule": 2}, lambda one: one["schedule_id"] == 2),
    "a time": (
        {"from": "2026-11-22T12:20:00Z", "to": "2026-11-22T13:40:00+01:00"},
        lambda one: timedelta(minutes=20) <= one["created_at"] - NOON < timedelta(minutes=40),
    ),
    "a time of a device": (
        {"from": "2026-11-22T12:20:00Z", "device_id": "D1", "status": "executed"},
        lambda one: (
            one["created_at"] - NOON >= timedelta(minutes=20)
            and (one["device_key"], one["status"]) == ("D1", "executed")
        ),
    ),
}


async def walk(one: Running, path: str, name: str, limit: int, **query: Any) -> list[dict[str, Any]]:
    """Everything, a page after the other."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(1000):
        more: dict[str, str] = {} if cursor is None else {"cursor": cursor}
        answer = await one.client.get(path, params={**query, **more, "limit": limit})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page[name]) <= limit
        found += page[name]
        cursor = page["next"]
        if cursor is None:
            return found
    raise AssertionError("it goes on for ever")


async def test_each_filter_gives_all_that_fits_once_and_in_one_order(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a page looks at few rows only, and where devices are too many to be read each for itself."""
    one = await start()
    rows = await filled(one)
    for look, few, limit in ((10_000, 50, 1000), (24, 50, 7), (13, 1, 7)):
        monkeypatch.setattr(ledger, "_LOOK", look)
        monkeypatch.setattr(ledger, "_FEW", few)
        for name, (query, fits) in FILTERS.items():
            found = await walk(one, "/v1/triggers", "triggers", limit, **query)
            assert [row["trigger_id"] for row in found] == [row["trigger_id"] for row in rows if fits(row)], name
            assert all((row["record_id"] is None) == (row["status"] != "executed") for row in found)


async def test_a_page_looks_at_so_many_rows_and_no_more(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await start()
    await filled(one)
    monkeypatch.setattr(ledger, "_LOOK", 20)
    answer = (await one.client.get("/v1/triggers", params={"schedule": 99})).json()
    assert answer["triggers"] == [] and answer["next"] is not None, "it goes on, and says so"
    assert await walk(one, "/v1/triggers", "triggers", 100, schedule=99) == []


async def test_pages_hold_while_triggers_are_made_and_end(start: Any) -> None:
    one = await start()
    rows = await filled(one)
    first = (await one.client.get("/v1/triggers", params={"limit": 50})).json()
    async with one.cloud.database.writing() as connection:
        later = {"created_at": NOON + timedelta(days=1), "device_key": "D1"}
        await connection.execute(insert(tables.triggers).values(row(999, random.Random(1), **later)))
        await trigger_outcomes.expire_silent(connection, NOON + timedelta(days=1), NOON + timedelta(days=1))
    rest = await walk(one, "/v1/triggers", "triggers", 50, cursor=first["next"])
    found = [row["trigger_id"] for row in (*first["triggers"], *rest)]
    assert found == [row["trigger_id"] for row in rows]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # refused before the database is asked
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"from": "2026-11-22T12:00:00"}, ("from", "timezone")),
        ({"from": "yesterday"}, ("from", "2026-11-22T12:00:00Z")),
        ({"from": "1764486462"}, ("from", "2026-11-22T12:00:00Z")),
        ({"to": "0001-01-01T00:00:00+14:00"}, ("to", "1970")),
        ({"from": "2026-11-22T12:00:00Z", "to": "2026-11-22T12:00:00Z"}, ("from=2026-11-22", "later")),
        ({"status": "lost"}, ("status", "executed")),
        ({"cursor": "x"}, ("cursor",)),
        ({"cursor": "99999999999999999-1"}, ("cursor", "next")),
        ({"schedule": "0"}, ("schedule",)),
        ({"schedule": str(2**63)}, ("schedule",)),
        ({"limit": "0"}, ("limit",)),
        ({"reason": "x" * 101}, ("reason",)),
        ({"device_id": ["D1"] * 101}, ("device_id",)),
    ],
)
async def test_a_filter_that_cannot_be_meant_is_refused_in_one_line_that_names_it(
    start: Any, query: dict[str, Any], words: tuple[str, ...]
) -> None:
    one = await start()
    await fleet(one)
    answer = await one.client.get("/v1/triggers", params=query)
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert "\n" not in detail and all(word in detail for word in words), detail


async def test_a_device_or_group_that_is_not_there_is_said_so(start: Any) -> None:
    one = await start()
    await fleet(one)
    for query, reason in (
        ({"device_id": ["D1", "D9"]}, "unknown_device"),
        ({"device_id": "no~id"}, "unknown_device"),
        ({"group": "nörth\0"}, "unknown_group"),
    ):
        for path in ("/v1/triggers", "/v1/triggers/export", "/v1/slots", "/v1/slots/summary"):
            answer = await one.client.get(path, params=query)
            assert (answer.status_code, answer.json()["reason"]) == (404, reason), path
    assert (await one.client.get("/v1/devices/D9/slots")).status_code == 404


# ---- export


async def test_an_export_is_the_ledger_as_a_file(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "_PIECE", 16)
    one = await start()
    rows = await filled(one)
    answer = await one.client.get("/v1/triggers/export", params={"format": "ndjson", "group": "north"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["trigger_id"] for line in lines] == [row["trigger_id"] for row in rows if of("D1", "D3")(row)]
    listed = await walk(one, "/v1/triggers", "triggers", 1000, group="north")
    labels = {"D1": {"device_name": "=cmd Zürich", "site": "Zürich"}, "D3": {"device_name": "=cmd 門", "site": "門"}}
    assert lines == [{**row, **labels[row["device_id"]]} for row in listed]

    answer = await one.client.get("/v1/triggers/export")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].endswith('.csv"') and answer.content.startswith(b"\xef\xbb\xbf")
    table = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert [line["trigger_id"] for line in table] == [row["trigger_id"] for row in rows]
    assert {line["device_name"] for line in table} == {"'=cmd Zürich", "'=cmd 門", ""}, "a spreadsheet runs nothing"
    stored = next(line for line in table if line["status"] == "executed")
    assert stored["record_id"] and float(stored["stored_after_seconds"] or 0) >= 0


async def test_a_client_that_goes_away_ends_its_export(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And while a piece is written and sent no transaction is held: what another client waits for is a connection."""
    monkeypatch.setattr(routes, "_PIECE", 2)
    one = await start()
    await filled(one)
    real, asked, in_use = ledger.page, 0, []
    lines = WRITERS["ndjson"].rows

    def write(rows: Any, labels: Any) -> bytes:
        in_use.append(one.cloud.database.connections_in_use())
        return lines(rows, labels)

    async def page(connection: Any, wanted: Wanted, after: Place | None, limit: int) -> Any:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.02)
        return await real(connection, wanted, after, limit)

    monkeypatch.setattr(ledger, "page", page)
    monkeypatch.setitem(WRITERS, "ndjson", Writer(b"", write))
    async with one.client.stream("GET", "/v1/triggers/export", params={"format": "ndjson"}) as answer:
        async for _ in answer.aiter_lines():
            if asked >= 3:
                break
    assert set(in_use) == {0}

    async def still() -> bool:
        before = asked
        await asyncio.sleep(0.2)  # ten pieces' time
        return asked == before

    await until(still)
    assert asked < 60, "100 pieces are the whole of it"


async def test_an_export_whose_database_goes_away_has_no_end(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "_PIECE", 16)
    one = await start()
    await filled(one)
    real = ledger.page

    async def page(connection: Any, wanted: Wanted, after: Place | None, limit: int) -> Any:
        if after is not None:
            raise OperationalError("select", {}, Exception("gone"))
        return await real(connection, wanted, after, limit)

    monkeypatch.setattr(ledger, "page", page)
    with pytest.raises(httpx.RemoteProtocolError):
        await one.client.get("/v1/triggers/export")


# ---- slots


async def scheduled(one: Running, interval: float, next_at: datetime, *device_keys: str) -> TriggerScheduler:
    now = one.time()
    async with one.cloud.database.writing() as connection:
        for key in device_keys:
            await schedules.put(connection, key, interval, next_at, now)
    return TriggerScheduler(one.cloud.database, one.cloud.hub, one.time, 3600.0)


async def newest(one: Running, device_id: str) -> str:
    listed = (await one.client.get(f"/v1/devices/{device_id}/triggers", params={"limit": 1})).json()
    return str(listed["triggers"][0]["trigger_id"])


async def midday(one: Running) -> None:
    """The middle of some day to come, UTC: what is to be of one day is."""
    now = datetime.now(UTC)
    one.time.ahead = now.replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1) - now


async def test_slots_say_what_was_due_and_what_came_and_each_gap_has_its_name(start: Any) -> None:
    one = await start()
    await fleet(one)
    await midday(one)
    began = one.time()
    scheduler = await scheduled(one, 600.0, began, "D1", "D2")
    assert await scheduler.fire_due() == 2
    answer = await one.capture("D1", await newest(one, "D1"), captured_at=one.time().isoformat())
    assert answer.status_code == 201, answer.text
    report = {"status": "failed", "reason": "camera_absent"}
    path = f"/v1/devices/D2/triggers/{await newest(one, 'D2')}/outcome"
    assert (await one.client.post(path, json=report)).status_code == 200

    one.time.pass_(600)
    await scheduler.fire_due()
    late = await newest(one, "D1")
    old = await one.capture("D2", await newest(one, "D2"), captured_at=began.isoformat(), metadata=known_clock(began))
    assert old.status_code == 201
    one.time.pass_(601)
    await one.capture("D1", late, captured_at=one.time().isoformat())

    one.time.pass_(3 * 600)  # the cloud was away: two slots passed, the last of them is made up for
    await scheduler.fire_due()
    body = (await one.client.get("/v1/slots")).json()
    found = [(slot["device_id"], slot["state"], slot["cause"], slot["reason"]) for slot in reversed(body["slots"])]
    assert sorted(found) == [
        ("D1", "gap", "late", None),
        ("D1", "useful", None, None),
        ("D1", "waiting", None, None),
        ("D2", "gap", "failed", "camera_absent"),
        ("D2", "gap", "not_fresh", None),
        ("D2", "waiting", None, None),
    ]
    assert [(run["device_id"], run["count"], run["reason"]) for run in body["missed"]] == [
        ("D1", 3, "late"),
        ("D2", 3, "late"),
    ]
    assert all(slot["remedy"] for slot in body["slots"] if slot["state"] == "gap")

    gaps = await walk(one, "/v1/slots", "slots", 1, gaps=True)
    assert [(slot["device_id"], slot["cause"]) for slot in gaps] == [
        (slot["device_id"], slot["cause"]) for slot in body["slots"] if slot["state"] == "gap"
    ]
    mine = (await one.client.get("/v1/devices/D1/slots", params={"gaps": True})).json()
    assert [slot["cause"] for slot in mine["slots"]] == ["late"] and [run["count"] for run in mine["missed"]] == [3]

    summary = (await one.client.get("/v1/slots/summary", params={"by": "device"})).json()
    assert (summary["due"], summary["useful"], summary["percent"]) == (10, 1, 10.0)
    assert [(one["cause"], one["reason"], one["count"]) for one in summary["gaps"]] == [
        ("missed", "late", 6),
        ("failed", "camera_absent", 1),
        ("late", None, 1),
        ("not_fresh", None, 1),
    ]
    assert summary["by"] == [
        {"name": "D2", "due": 5, "useful": 0, "percent": 0.0},
        {"name": "D1", "due": 5, "useful": 1, "percent": 20.0},
    ]
    by_site = (await one.client.get("/v1/slots/summary", params={"by": "site", "device_id": "D1"})).json()
    assert by_site["by"] == [{"name": "Zürich", "due": 5, "useful": 1, "percent": 20.0}]
    by_group = (await one.client.get("/v1/slots/summary", params={"by": "group"})).json()
    assert by_group["by"] == [{"name": "north", "due": 5, "useful": 1, "percent": 20.0}], "D2 is of no group"
    assert (await one.client.get("/v1/slots/summary", params={"group": "south"})).json()["percent"] is None


def known_clock(at: datetime) -> dict[str, Any]:
    time = {"boot_id": "b", "boottime": 1.0, "wall": at.isoformat(), "synchronised": True, "uncertainty": 1.0}
    return {"trigger_type": "scheduled", "time": time}


async def test_the_pages_show_the_rate_each_gap_and_where_the_time_went(start: Any) -> None:
    one = await start()
    await fleet(one)
    await midday(one)
    scheduler = await scheduled(one, 600.0, one.time(), "D1")
    assert "useful slots" not in (await one.client.get("/")).text, "nothing was due"
    await scheduler.fire_due()
    await one.capture("D1", await newest(one, "D1"), captured_at=one.time().isoformat())
    one.time.pass_(600)
    await scheduler.fire_due()
    late = await newest(one, "D1")
    one.time.pass_(601)
    await one.capture("D1", late, captured_at=one.time().isoformat())
    for path in ("/", "/devices/D1"):
        page = (await one.client.get(path)).text
        assert "<b>50.0 %</b><span>useful slots" in page and "1 of 2" in page, path
        assert "after its deadline" in page and "exposed <span" in page and "stored <span" in page


async def test_slots_of_a_barred_device_are_listed_and_not_due(start: Any) -> None:
    one = await start()
    await fleet(one)
    await midday(one)
    scheduler = await scheduled(one, 600.0, one.time(), "D1")
    assert (await one.client.patch("/v1/devices/D1", json={"active": False})).status_code == 200
    one.time.pass_(1300)
    assert await scheduler.fire_due() == 0
    summary = (await one.client.get("/v1/slots/summary")).json()
    assert (summary["due"], summary["percent"], summary["not_active"], summary["gaps"]) == (0, None, 3, [])
    assert [run["reason"] for run in (await one.client.get("/v1/devices/D1/slots")).json()["missed"]] == ["not_active"]


async def test_a_verdict_that_comes_later_changes_what_a_slot_counts_as(start: Any) -> None:
    one = await start()
    await fleet(one)
    scheduler = await scheduled(one, 600.0, one.time(), "D1")
    await scheduler.fire_due()
    trigger_id = await newest(one, "D1")
    await one.capture("D1", trigger_id, captured_at=one.time().isoformat())
    for useful, percent in ((True, 100.0), (False, 0.0), (False, 0.0), (True, 100.0)):
        async with one.cloud.database.writing() as connection:
            await trigger_outcomes.judged(connection, "D1", trigger_id, useful)
        assert (await one.client.get("/v1/slots/summary")).json()["percent"] == percent
        assert (await one.row("D1", trigger_id))["gap"] == (None if useful else "not_useful")


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # refused before the database is asked
@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("/v1/slots", {"from": "2026-01-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"}, ("59 days", "31")),
        ("/v1/slots", {"from": "2999-01-01T00:00:00Z"}, ("later",)),
        ("/v1/slots/summary", {"from": "2026-01-02", "to": "2026-01-02"}, ("from=2026-01-02", "day after")),
        ("/v1/slots/summary", {"from": "2024-01-01", "to": "2026-01-02"}, ("732 days", "400")),
        ("/v1/slots/summary", {"to": "0001-01-01"}, ("to=0001-01-01",)),
        ("/v1/slots/summary", {"from": "1764486400"}, ("from", "2026-11-22")),
        ("/v1/slots", {"gaps": "maybe"}, ("gaps", "true")),
        ("/v1/slots/summary", {"by": "colour"}, ("by", "site")),
    ],
)
async def test_a_time_that_cannot_be_meant_is_refused_in_one_line(
    start: Any, path: str, query: dict[str, str], words: tuple[str, ...]
) -> None:
    answer = await (await start()).client.get(path, params=query)
    assert answer.status_code == 422
    assert all(word in answer.json()["detail"] for word in words), answer.json()["detail"]


# ---- stages


async def test_a_trigger_tells_where_its_time_went(start: Any) -> None:
    one = await start()
    await one.register()
    trigger_id = await one.trigger("D1")
    now = one.time()
    steps = {"admitted": 0.0, "camera_asked": 0.01, "exposed": 0.02, "spooled": 0.03, "upload_began": 0.04}
    told = {
        name: {"at": (now - timedelta(days=365) + timedelta(seconds=after)).isoformat(), "boot_id": "b"}
        for name, after in steps.items()
    }
    answer = await one.capture("D1", trigger_id, metadata={"trigger_type": "manual", "stages": told})
    assert answer.status_code == 201
    row = await one.row("D1", trigger_id)
    stages = {stage["name"]: stage for stage in row["stages"] if stage["name"] != "sent"}
    assert list(stages) == ["accepted", *steps, "stored"]
    assert stages["admitted"]["clock"] == "device_corrected" and stages["spooled"]["seconds_since_previous"] == 0.01
    total = sum(stage["seconds_since_previous"] or 0 for stage in stages.values())
    assert total * 1000 == pytest.approx(row["latency_ms"], abs=2000 * stages["admitted"]["uncertainty"] + 1)

    failed = await one.trigger("D1")
    report = {
        "status": "failed",
        "reason": "camera_absent",
        "metadata": {
            "stages": {
                "admitted": {"at": one.time().isoformat()},
                "camera_asked": {"at": "never"},
                "decided": {"at": one.time().isoformat()},
            }
        },
    }
    assert (await one.client.post(f"/v1/devices/D1/triggers/{failed}/outcome", json=report)).status_code == 200
    row = await one.row("D1", failed)
    names = [stage["name"] for stage in row["stages"] if stage["name"] != "sent"]
    assert names == ["accepted", "admitted", "decided", "ended"], "what cannot be read says nothing"


async def test_more_devices_than_a_few_are_read_together(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_FEW", 1)
    one = await start()
    rows = await filled(one)
    async with one.cloud.database.reading() as connection:
        page = await ledger.page(connection, Wanted(ChosenDevices(group="north")), None, 1000)
        assert [row.trigger_id for row, _ in page.rows] == [row["trigger_id"] for row in rows if of("D1", "D3")(row)]
        assert (await ledger.page(connection, Wanted(ChosenDevices(Scope("acme"))), None, 1000)).rows == []
