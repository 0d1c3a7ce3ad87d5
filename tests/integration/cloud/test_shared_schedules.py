"""Shared schedules by their API: made, previewed, changed by two people, attached to devices, groups and tags."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert

from visant_cloud.commands.scheduler import CLOCK_PLAY, TriggerScheduler
from visant_cloud.commands.shared_rounds import SharedRounds
from visant_cloud.store import tables

HOURLY = {"interval_seconds": 3600}
SEVERAL = ["D1", "D2", "D3", "D4"]


async def known(cloud: Any, *device_ids: str) -> None:
    for device_id in device_ids:
        answer = await cloud.client.post("/v1/devices", json={"device_id": device_id})
        assert answer.status_code == 201, answer.text


async def group(cloud: Any, name: str, *device_ids: str) -> int:
    """A group with these members, past the API."""
    common = {"organisation_id": "default"}
    async with cloud.cloud.database.writing() as connection:
        made = insert(tables.device_groups).values(**common, name=name, created_at=cloud.time())
        number = (await connection.execute(made.returning(tables.device_groups.c.group_id))).scalar_one()
        for device_id in device_ids:
            row = {**common, "group_id": number, "device_key": device_id}
            await connection.execute(insert(tables.group_members).values(**row))
    return int(number)


async def tag(cloud: Any, device_id: str, name: str) -> None:
    async with cloud.cloud.database.writing() as connection:
        row = {"organisation_id": "default", "device_key": device_id, "tag": name}
        await connection.execute(insert(tables.device_tags).values(**row))


async def made(cloud: Any, rule: dict[str, Any], name: str = "by day", **attached: list[str]) -> dict[str, Any]:
    body = {"name": name, "rule": rule, "attached": attached}
    answer = await cloud.client.post("/v1/schedules", json=body)
    assert answer.status_code == 201, answer.text
    return {**answer.json(), "etag": answer.headers["ETag"]}


def rounds(cloud: Any) -> SharedRounds:
    inner = cloud.cloud
    return SharedRounds(inner.database, inner.hub, cloud.time, inner.settings.scheduled_ttl_max)


async def slots_of(cloud: Any, device_id: str) -> list[str]:
    """When its scheduled triggers were made, oldest first."""
    rows = (await cloud.client.get(f"/v1/devices/{device_id}/triggers")).json()["triggers"]
    return [row["created_at"] for row in reversed(rows) if row["type"] == "scheduled"]


def until(cloud: Any, moment: str | datetime) -> None:
    """The clock stands just past `moment`."""
    wanted = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    cloud.time.ahead += wanted - cloud.time() + timedelta(milliseconds=1)


async def test_a_schedule_is_made_read_listed_changed_and_removed(start: Any) -> None:
    cloud = await start()
    await known(cloud, "D1")
    new = await made(cloud, {"cron": "0 12 * * *", "zone": "Europe/Berlin"}, devices=["D1"])
    where = f"/v1/schedules/{new['schedule_id']}"
    assert new["attached"] == {"devices": ["D1"], "groups": [], "tags": []} and new["devices"] == 1
    assert new["text"] == "At 12:00 every day (cron 0 12 * * *); times of Europe/Berlin."
    read = await cloud.client.get(where)
    assert {**read.json(), "etag": read.headers["ETag"]} == new
    page = (await cloud.client.get("/v1/schedules", params={"limit": 1})).json()
    assert [row["name"] for row in page["schedules"]] == ["by day"] and page["next_before"] == new["schedule_id"]
    rest = await cloud.client.get("/v1/schedules", params={"before": page["next_before"]})
    assert rest.json() == {"schedules": [], "next_before": None}
    wanted = {"name": "by night", "rule": HOURLY}
    changed = await cloud.client.put(where, json=wanted, headers={"If-Match": new["etag"]})
    assert changed.status_code == 200 and changed.json()["name"] == "by night" and changed.json()["version"] == 2
    assert changed.headers["ETag"] != new["etag"]
    stale = await cloud.client.request("DELETE", where, headers={"If-Match": new["etag"]})
    assert stale.status_code == 412 and "GET it again" in stale.json()["detail"]
    assert (await cloud.client.delete(where)).status_code == 204
    assert (await cloud.client.get(where)).status_code == 404


async def test_of_two_people_who_change_one_schedule_the_second_is_told(start: Any) -> None:
    cloud = await start()
    new = await made(cloud, HOURLY)
    where, body = f"/v1/schedules/{new['schedule_id']}", {"name": "by day", "rule": {"interval_seconds": 60}}
    blind = await cloud.client.put(where, json=body)
    assert blind.status_code == 428 and "If-Match" in blind.json()["detail"]
    statuses = [(await cloud.client.put(where, json=body, headers={"If-Match": new["etag"]})).status_code for _ in "12"]
    assert statuses == [200, 412]
    anyway = await cloud.client.put(where, json={**body, "name": "a"}, headers={"If-Match": "*"})
    assert anyway.status_code == 200
    await made(cloud, HOURLY, "b")
    taken = await cloud.client.put(where, json={**body, "name": "b"}, headers={"If-Match": "*"})
    assert taken.status_code == 409 and (await cloud.client.get(where)).json()["name"] == "a"
    assert (await cloud.client.post("/v1/schedules", json={"name": "b", "rule": HOURLY})).status_code == 409


async def test_a_preview_says_the_next_firings_in_utc_in_local_time_and_in_words(start: Any) -> None:
    cloud = await start()
    body = {"rule": {"cron": "30 2 * * *", "zone": "Europe/Berlin"}, "count": 2, "after": "2027-03-27T12:00:00Z"}
    answer = (await cloud.client.post("/v1/schedules/preview", json=body)).json()
    gap, usual = answer["firings"]
    assert answer["text"].startswith("At 02:30 every day") and answer["zone"] == "Europe/Berlin"
    assert gap["at"] == "2027-03-28T01:00:00.000000+00:00" and gap["local"] == "2027-03-28T03:00:00+02:00"
    assert gap["text"] == "Sunday 28 March 2027, 03:00:00, UTC+02:00" and "does not exist" in gap["note"]
    assert usual["at"] == "2027-03-29T00:30:00.000000+00:00" and usual["note"] is None
    never = {"rule": {"cron": "0 0 30 2 *"}}
    answer = (await cloud.client.post("/v1/schedules/preview", json=never)).json()
    assert answer["firings"] == [] and answer["text"].startswith("Never")
    assert (await cloud.client.get("/v1/schedules")).json()["schedules"] == [], "nothing is kept"


async def test_the_next_firings_of_a_schedule_are_those_that_come(start: Any) -> None:
    cloud = await start()
    await known(cloud, "D1")
    new = await made(cloud, {"interval_seconds": 600}, devices=["D1"])
    where = f"/v1/schedules/{new['schedule_id']}"
    told = (await cloud.client.get(f"{where}/next", params={"count": 3})).json()["firings"]
    assert len(told) == 3 and told[0]["at"] == new["next_at"]
    for one in told:
        until(cloud, one["at"])
        assert await rounds(cloud).run_due() == 1
        after = (await cloud.client.get(f"{where}/next", params={"count": 1, "after": one["at"]})).json()["firings"]
        assert after[0]["at"] == (await cloud.client.get(where)).json()["next_at"]
    rests = {"name": "by day", "rule": {"interval_seconds": 600}, "active": False}
    await cloud.client.put(where, json=rests, headers={"If-Match": "*"})
    assert (await cloud.client.get(f"{where}/next")).json()["firings"] == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"rule": HOURLY}, "name"),
        ({"name": "", "rule": HOURLY}, "name"),
        ({"name": "a\nb", "rule": HOURLY}, "name"),
        ({"name": "a"}, "rule"),
        ({"name": "a", "rule": {}}, "one of interval_seconds and cron"),
        ({"name": "a", "rule": {"cron": "61 * * * *"}}, "'61' is no minute"),
        ({"name": "a", "rule": HOURLY, "attached": {"devices": ["no such id!"]}}, "attached.devices.0"),
        ({"name": "a", "rule": HOURLY, "attached": {"tags": [""]}}, "attached.tags.0"),
        ({"name": "a", "rule": HOURLY, "colour": "red"}, "colour"),
    ],
)
async def test_what_no_schedule_may_be_is_refused_with_one_line_and_nothing_is_kept(
    start: Any, body: dict[str, Any], named: str
) -> None:
    cloud = await start()
    answer = await cloud.client.post("/v1/schedules", json=body)
    assert answer.status_code == 422 and named in answer.json()["detail"], answer.text
    assert (await cloud.client.get("/v1/schedules")).json()["schedules"] == []


async def test_who_attaches_something_unknown_attaches_nothing(start: Any) -> None:
    cloud = await start()
    await known(cloud, "D1")
    for attached, named in (({"devices": ["D1", "D9"]}, "'D9'"), ({"devices": ["D1"], "groups": ["north"]}, "'north'")):
        body = {"name": "a", "rule": HOURLY, "attached": attached}
        answer = await cloud.client.post("/v1/schedules", json=body)
        assert answer.status_code == 404 and named in answer.json()["detail"]
        assert (await cloud.client.get("/v1/schedules")).json()["schedules"] == []
        new = await made(cloud, HOURLY)
        answer = await cloud.client.post(f"/v1/schedules/{new['schedule_id']}/attach", json=attached)
        assert answer.status_code == 404
        assert (await cloud.client.get(f"/v1/schedules/{new['schedule_id']}")).json()["devices"] == 0
        await cloud.client.delete(f"/v1/schedules/{new['schedule_id']}")


async def test_a_schedule_fires_for_each_device_of_its_devices_groups_and_tags_once(start: Any) -> None:
    cloud = await start()
    await known(cloud, *SEVERAL)
    await group(cloud, "north", "D1", "D2")
    await tag(cloud, "D2", "door")
    await tag(cloud, "D3", "door")
    new = await made(cloud, HOURLY, devices=["D1"], groups=["north"], tags=["door"])
    assert new["devices"] == 3
    until(cloud, new["next_at"])
    assert [await rounds(cloud).run_due() for _ in range(3)] == [3, 0, 0]
    assert [len(await slots_of(cloud, one)) for one in SEVERAL] == [1, 1, 1, 0]


async def test_who_joins_or_leaves_a_group_does_so_at_the_next_slot(start: Any) -> None:
    cloud = await start()
    await known(cloud, *SEVERAL)
    north = await group(cloud, "north", "D1", "D2")
    new = await made(cloud, HOURLY, groups=["north"])
    async with cloud.cloud.database.writing() as connection:
        left = tables.group_members.c.device_key == "D2"
        await connection.execute(delete(tables.group_members).where(left))
        row = {"organisation_id": "default", "group_id": north, "device_key": "D3"}
        await connection.execute(insert(tables.group_members).values(**row))
    until(cloud, new["next_at"])
    assert await rounds(cloud).run_due() == 2
    assert [len(await slots_of(cloud, one)) for one in SEVERAL] == [1, 0, 1, 0]
    answer = await cloud.client.post(f"/v1/schedules/{new['schedule_id']}/attach", json={"devices": ["D4"]})
    assert answer.json()["devices"] == 3
    answer = await cloud.client.post(f"/v1/schedules/{new['schedule_id']}/detach", json={"groups": ["north", "x"]})
    assert answer.json()["attached"] == {"devices": ["D4"], "groups": [], "tags": []}
    cloud.time.pass_(3600)
    assert await rounds(cloud).run_due() == 1
    assert [len(await slots_of(cloud, one)) for one in SEVERAL] == [1, 0, 1, 1]


async def test_schedules_of_one_device_do_not_know_of_each_other(start: Any) -> None:
    cloud = await start()
    await known(cloud, "D1")
    first = await made(cloud, HOURLY, "a", devices=["D1"])
    second = await made(cloud, {"cron": "0 * * * *"}, "b", devices=["D1"])
    assert first["next_at"] == second["next_at"]
    assert (await cloud.client.put("/v1/devices/D1/schedule", json={"interval_seconds": 3600})).status_code == 200
    until(cloud, first["next_at"])
    cloud.time.pass_(3599)
    inner = cloud.cloud
    scheduler = TriggerScheduler(inner.database, inner.hub, cloud.time, 3600.0)
    assert await scheduler.fire_due() == 1
    assert await rounds(cloud).run_due() == 2
    assert len(await slots_of(cloud, "D1")) == 3, "each slot of each schedule is a picture"


async def test_with_jitter_each_device_fires_at_its_own_place_after_the_slot(start: Any) -> None:
    cloud = await start()
    await known(cloud, *SEVERAL)
    new = await made(cloud, {"interval_seconds": 3600, "jitter_seconds": 600}, devices=SEVERAL)
    told = {}
    for one in SEVERAL:
        (row,) = (await cloud.client.get(f"/v1/devices/{one}/schedules")).json()["schedules"]
        told[row["next_at"]] = one
    slot = datetime.fromisoformat(new["next_at"])
    assert all(slot <= datetime.fromisoformat(moment) <= slot + timedelta(seconds=600) for moment in told)
    until(cloud, slot)
    assert await rounds(cloud).run_due() == 0
    for moment, one in sorted(told.items()):
        assert (await cloud.client.get(f"/v1/devices/{one}/schedules")).json()["schedules"][0]["next_at"] == moment
        until(cloud, moment)
        assert await rounds(cloud).run_due() == 1
        assert len(await slots_of(cloud, one)) == 1
    later = [(await cloud.client.get(f"/v1/devices/{one}/schedules")).json()["schedules"][0] for one in SEVERAL]
    hour = timedelta(hours=1)
    assert {datetime.fromisoformat(row["next_at"]) - hour for row in later} == set(map(datetime.fromisoformat, told))


async def test_a_trigger_waits_for_its_device_as_long_as_the_rule_says(start: Any) -> None:
    cloud = await start()
    await known(cloud, *SEVERAL)
    rules = {"D1": HOURLY, "D2": {"interval_seconds": 86400}, "D3": {**HOURLY, "expires_after_seconds": 30}}
    for device_id, rule in rules.items():
        await made(cloud, rule, device_id, devices=[device_id])
    cloud.time.pass_(86400)
    await rounds(cloud).run_due()
    lived = []
    for device_id in rules:
        row = (await cloud.client.get(f"/v1/devices/{device_id}/triggers")).json()["triggers"][0]
        lived.append(datetime.fromisoformat(row["expires_at"]) - datetime.fromisoformat(row["created_at"]))
    assert [one.total_seconds() for one in lived] == [3600, 3600, 30]


async def test_of_missed_slots_one_is_made_up_for_late_or_none_as_the_rule_says(start: Any) -> None:
    cloud = await start()
    await known(cloud, "D1", "D2")
    new = await made(cloud, HOURLY, "once", devices=["D1"])
    await made(cloud, {**HOURLY, "missed": "skip"}, "skip", devices=["D2"])
    first = datetime.fromisoformat(new["next_at"])
    until(cloud, first + timedelta(hours=5, minutes=10))
    assert [await rounds(cloud).run_due() for _ in range(2)] == [1, 0]
    for device_id, count in (("D1", 5), ("D2", 6)):
        (run,) = (await cloud.client.get(f"/v1/devices/{device_id}/missed")).json()["missed"]
        assert (run["count"], run["reason"]) == (count, "late")
        assert datetime.fromisoformat(run["first"]) == first
        assert datetime.fromisoformat(run["last"]) == first + timedelta(hours=count - 1)
    until(cloud, first + timedelta(hours=6, seconds=50))
    assert await rounds(cloud).run_due() == 2, "half a minute late is not late"


async def test_slots_of_a_barred_device_are_one_run_and_not_made_up_for(start: Any) -> None:
    cloud = await start()
    await known(cloud, "D1", "D2")
    new = await made(cloud, HOURLY, devices=["D1", "D2"])
    await cloud.client.patch("/v1/devices/D1", json={"active": False})
    first = datetime.fromisoformat(new["next_at"])
    for hour in range(3):
        until(cloud, first + timedelta(hours=hour))
        assert await rounds(cloud).run_due() == 1
    await cloud.client.patch("/v1/devices/D1", json={"active": True})
    assert await rounds(cloud).run_due() == 0
    (run,) = (await cloud.client.get("/v1/devices/D1/missed")).json()["missed"]
    assert (run["count"], run["reason"]) == (3, "not_active")
    assert (await cloud.client.get("/v1/devices/D2/missed")).json()["missed"] == []


async def test_a_slot_that_came_just_before_a_change_is_not_lost_and_none_fires_twice(start: Any) -> None:
    cloud = await start()
    await known(cloud, "D1")
    new = await made(cloud, HOURLY, devices=["D1"])
    where, body = f"/v1/schedules/{new['schedule_id']}", {"name": "by day", "rule": {"interval_seconds": 1800}}
    until(cloud, new["next_at"])
    changed = await cloud.client.put(where, json=body, headers={"If-Match": "*"})
    assert changed.json()["next_at"] == new["next_at"]
    assert await rounds(cloud).run_due() == 1
    changed = await cloud.client.put(where, json={**body, "rule": HOURLY}, headers={"If-Match": "*"})
    hour_later = datetime.fromisoformat(new["next_at"]) + timedelta(hours=1)
    assert datetime.fromisoformat(changed.json()["next_at"]) == hour_later
    assert await rounds(cloud).run_due() == 0


async def test_a_schedule_that_rests_or_is_removed_asks_for_nothing_more_also_within_its_jitter(start: Any) -> None:
    cloud = await start()
    await known(cloud, *SEVERAL)
    jittered = {"interval_seconds": 7200, "jitter_seconds": 3600}
    rests = await made(cloud, jittered, "rests", devices=SEVERAL[:2])
    gone = await made(cloud, jittered, "gone", devices=SEVERAL[2:])
    until(cloud, rests["next_at"])
    await rounds(cloud).run_due()
    body = {"name": "rests", "rule": jittered, "active": False}
    answer = await cloud.client.put(f"/v1/schedules/{rests['schedule_id']}", json=body, headers={"If-Match": "*"})
    assert answer.json()["next_at"] is None and answer.json()["devices"] == 2
    await cloud.client.delete(f"/v1/schedules/{gone['schedule_id']}")
    cloud.time.pass_(86400)
    assert await rounds(cloud).run_due() == 0
    again = await cloud.client.put(
        f"/v1/schedules/{rests['schedule_id']}", json={**body, "active": True}, headers={"If-Match": "*"}
    )
    assert datetime.fromisoformat(again.json()["next_at"]) > cloud.time()


async def test_a_rule_that_never_fires_again_is_kept_and_says_so(start: Any) -> None:
    cloud = await start()
    await known(cloud, "D1")
    new = await made(cloud, {"cron": "0 0 30 2 *"}, devices=["D1"])
    assert new["next_at"] is None
    last = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    ends = await made(
        cloud, {**HOURLY, "pauses": [{"first": last, "last": "2199-12-31"}], "zone": "UTC"}, "ends", devices=["D1"]
    )
    until(cloud, f"{last}T00:00:00+00:00")
    fired = await rounds(cloud).run_due()
    assert fired == (1 if ends["next_at"] else 0)
    row = (await cloud.client.get(f"/v1/schedules/{ends['schedule_id']}")).json()
    assert row["next_at"] is None and row["active"], "50 years ahead is as far as one looks"
    cloud.time.pass_(86400)
    assert await rounds(cloud).run_due() == 0
    assert (await cloud.client.get("/v1/devices/D9/schedules")).status_code == 404


async def test_the_page_of_a_device_shows_its_schedules_and_when_each_fires_next(start: Any) -> None:
    cloud = await start()
    await known(cloud, "D1")
    await group(cloud, "north", "D1")
    await made(cloud, {"cron": "0 0 30 2 *"}, "<i>never</i>", groups=["north"])
    new = await made(cloud, HOURLY, "each hour", groups=["north"])
    page = (await cloud.client.get("/devices/D1")).text
    assert "each hour" in page and "Every 1 h." in page and "never again" in page and "<i>" not in page
    assert new["next_at"][:19] in page
    await cloud.client.delete(f"/v1/schedules/{new['schedule_id']}")
    assert "each hour" not in (await cloud.client.get("/devices/D1")).text


# Clocks


async def test_a_clock_that_was_a_day_ahead_and_is_put_back_silences_no_schedule_and_takes_no_slot_twice(
    start: Any,
) -> None:
    cloud = await start()
    await known(cloud, "D1")
    new = await made(cloud, {"cron": "*/30 * * * *"}, devices=["D1"])
    one = rounds(cloud)
    until(cloud, new["next_at"])
    assert await one.run_due() == 1
    cloud.time.pass_(86400)
    for _ in range(3):
        assert await one.run_due() == 1
        cloud.time.pass_(1800)
    cloud.time.pass_(-86400 - 3 * 1800)
    assert await one.run_due() == 0
    assert await one.begin_anew(CLOCK_PLAY) == 1 and await one.begin_anew(CLOCK_PLAY) == 0
    row = (await cloud.client.get(f"/v1/schedules/{new['schedule_id']}")).json()
    assert timedelta() < datetime.fromisoformat(row["next_at"]) - cloud.time() <= timedelta(seconds=1801)
    for _ in range(52):  # through the day whose slots were used up
        cloud.time.pass_(1800)
        assert await one.run_due() == 1
    async with cloud.cloud.database.reading() as connection:
        found = list(await connection.execute(tables.triggers.select()))
    made_of = [row.scheduled_for for row in found]
    assert len(made_of) == len(set(made_of)) == 1 + 3 + 52


async def test_clocks_that_differ_by_less_than_a_minute_make_no_schedule_begin_anew(start: Any) -> None:
    cloud = await start()
    await known(cloud, "D1")
    new = await made(cloud, {"cron": "*/10 * * * *"}, devices=["D1"])
    until(cloud, new["next_at"])
    assert await rounds(cloud).run_due() == 1
    cloud.time.pass_(-50)
    assert await rounds(cloud).begin_anew(CLOCK_PLAY) == 0
    cloud.time.pass_(60)
    assert await rounds(cloud).run_due() == 0
    assert len(await slots_of(cloud, "D1")) == 1


async def test_slots_that_a_clock_ahead_handed_out_and_that_have_not_fired_are_forgotten_when_it_is_put_back(
    start: Any,
) -> None:
    cloud = await start()
    await known(cloud, *SEVERAL)
    rule = {"interval_seconds": 7200, "jitter_seconds": 3600}
    new = await made(cloud, rule, devices=SEVERAL)
    one, week = rounds(cloud), timedelta(days=7)
    until(cloud, datetime.fromisoformat(new["next_at"]) + week)
    await one.run_due()

    async def waits() -> int:
        async with cloud.cloud.database.reading() as connection:
            return len(list(await connection.execute(tables.slots_due.select())))

    assert await waits() > 0
    cloud.time.ahead -= week + timedelta(minutes=10)
    assert await one.begin_anew(CLOCK_PLAY) == 1
    assert await waits() == 0
    row = (await cloud.client.get(f"/v1/schedules/{new['schedule_id']}")).json()
    until(cloud, datetime.fromisoformat(row["next_at"]) + timedelta(hours=1))
    assert await one.run_due() == 4
