"""Devices by name, group, tag and filter: what people write on them, and who is listed when."""

from typing import Any

import pytest
from sqlalchemy import text

from tests.support.many_devices import create_many
from visant_cloud.alerts.engine import Key, Opened
from visant_cloud.alerts.states import Cause
from visant_cloud.fleet import filter
from visant_cloud.store import alerts, device_search, device_states, devices, labels
from visant_cloud.store.scope import Scope


async def edit(cloud: Any, device_id: str, **body: Any) -> dict[str, Any]:
    answer = await cloud.client.patch(f"/v1/devices/{device_id}", json=body, headers={"If-Match": "*"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def listed(cloud: Any, **query: Any) -> Any:
    answer = await cloud.client.get("/v1/devices", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ids(cloud: Any, **query: Any) -> list[str]:
    return [one["device_id"] for one in (await listed(cloud, **query))["devices"]]


@pytest.fixture
async def fleet(start: Any) -> Any:
    """A to F: connected once and gone (A, E), degraded and there (B), there (C), never seen (D), suspended (F)."""
    cloud = await start()
    names = list("ABCDEF")
    async with cloud.cloud.database.writing() as connection:
        await create_many(connection, names, cloud.time())
        await device_states.mark_seen(connection, ["A", "B", "C", "E"], cloud.time())
        await device_states.note_telemetry(connection, "B", {"state": "degraded"}, cloud.time())
        for name, version in {"A": "2.0.9", "B": "2.1.0", "C": "2.10.0", "E": "2.1.0-rc1"}.items():
            await devices.change(connection, name, device_version=version)
        camera = Opened(Key("default", "C", "camera"), None, Cause("camera", None, "dead", "look"))
        await alerts.open_alerts(connection, [camera], cloud.time())
    for name in ("north", "Süd"):
        assert (await cloud.client.post("/v1/groups", json={"name": name})).status_code == 201
    await edit(cloud, "A", name="Lobby, front desk", site="Haus Ä", groups=["north"], tags=["Door", "hall"])
    await edit(cloud, "B", name="Über 100%", groups=["north", "Süd"], tags=["door"])
    await edit(cloud, "C", name="入口", groups=["Süd"])
    await edit(cloud, "F", active=False)
    async with cloud.stream("B") as one, cloud.stream("C") as two:
        await one.next()
        await two.next()
        yield cloud


async def test_a_filter_chooses_devices_and_trouble_comes_first(fleet: Any) -> None:
    everybody = await listed(fleet, sort="trouble")
    assert [one["device_id"] for one in everybody["devices"]] == ["C", "B", "A", "E", "D", "F"]
    assert everybody["total"] == everybody["count"] == 6 and everybody["alerting"] == 1
    assert everybody["states"] == {"connected": 1, "degraded": 1, "offline": 2, "never_seen": 1, "inactive": 1}
    expected = {
        "state:offline": "AE",
        "state:offline,never_seen": "AED",
        "-state:offline": "CBDF",
        "alert:any": "C",
        "alert:camera": "C",
        "alert:silent": "",
        'alert:"" state:connected': "",
        "group:north": "BA",
        "group:NORTH group:süd": "B",
        "group~o": "BA",
        'group:""': "EDF",
        "-group:north tag:door": "",
        "tag:DOOR": "BA",
        "tag~oo -tag:hall": "B",
        'tag:"" state:offline': "E",
        "name~LOBBY": "A",
        'name:"lobby, FRONT desk"': "A",
        "name:lobby": "",
        "name~%": "B",
        "name~_": "",
        "name~über": "B",
        "name:入口": "C",
        'site:"haus ä"': "A",
        "site~ä": "A",
        'site:""': "CBEDF",
        "id:a": "A",
        "id~a": "A",
        "version:<2.1": "AE",
        "version:>=2.1": "CB",
        "version:2.1": "BE",
        'version:""': "DF",
        "front desk": "A",
        '"t d"': "A",
        "-front -über": "CEDF",
        "": "CBAEDF",
        "nobody": "",
    }
    for chosen, fitting in expected.items():
        assert "".join(await ids(fleet, filter=chosen)) == fitting, chosen
    for one in everybody["devices"]:
        mine = await ids(fleet, filter=f"state:{one['state']}", sort="id")
        assert one["device_id"] in mine, "a filter and what is shown judge alike"


async def test_what_a_program_of_before_asks_for_it_gets(fleet: Any) -> None:
    everybody = await listed(fleet)
    assert [one["device_id"] for one in everybody["devices"]] == list("ABCDEF") and everybody["count"] == 6
    assert await ids(fleet, state="offline") == ["A", "E"]
    assert everybody["total"] == 6 and everybody["states"]["offline"] == 2 and everybody["next_cursor"] is None
    one = (await fleet.client.get("/v1/devices/A")).json()
    assert everybody["devices"][0] == one and one["groups"] == ["north"] and one["tags"] == ["door", "hall"]
    for body in ({"site": "elsewhere"}, {"active": True}, {}):
        assert (await fleet.client.patch("/v1/devices/A", json=body)).status_code == 200, "without an ETag, as before"


async def test_pages_go_on_where_the_last_one_ended(fleet: Any) -> None:
    for sort in device_search.SORTS:
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = await listed(fleet, sort=sort, limit=2, filter="-id:f", **({"cursor": cursor} if cursor else {}))
            assert page["total"] == 5, sort
            found += [one["device_id"] for one in page["devices"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert sorted(found) == list("ABCDE") and len(found) == 5, sort
        if sort in ("id", "-id"):
            assert found == sorted(found, reverse=sort == "-id")
    first = (await listed(fleet, sort="id", limit=2))["next_cursor"]
    for query in ({"sort": "-id"}, {"sort": "id", "filter": "a"}, {"sort": "id", "cursor": "xx"}):
        wrong = await fleet.client.get("/v1/devices", params={"cursor": first, **query})
        assert wrong.status_code == 422 and "begin without one" in wrong.json()["detail"], query


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ("state:gone", "filter, character 7: state is one of"),
        ("-group:nroth", "filter, character 1: there is no group 'nroth'"),
        ("a" * 1001, "at most 1000 characters"),
    ],
)
async def test_a_filter_that_means_nothing_is_refused_in_one_line(fleet: Any, chosen: str, said: str) -> None:
    answer = await fleet.client.get("/v1/devices", params={"filter": chosen})
    assert answer.status_code == 422 and said in answer.json()["detail"] and "\n" not in answer.json()["detail"]


async def test_two_people_who_edit_one_device_never_undo_each_other_unseen(fleet: Any) -> None:
    seen = (await fleet.client.get("/v1/devices/A")).headers["ETag"]
    path, mine = "/v1/devices/A", {"If-Match": seen}
    changed = await fleet.client.patch(path, json={"notes": "ladder needed\nkey at 3"}, headers=mine)
    assert changed.status_code == 200 and changed.json()["notes"] == "ladder needed\nkey at 3"
    late = await fleet.client.patch(path, json={"notes": "other"}, headers=mine)
    assert late.status_code == 412 and "GET it again" in late.json()["detail"]
    bodies: tuple[dict[str, Any], ...] = ({"name": "x"}, {"notes": "x"}, {"tags": []}, {"groups": []})
    for body in bodies:
        unseen = await fleet.client.patch(path, json=body)
        assert unseen.status_code == 428 and "If-Match" in unseen.json()["detail"], body
    assert (await fleet.client.get(path)).json()["notes"] == "ladder needed\nkey at 3"
    newest = {"If-Match": changed.headers["ETag"]}
    again = await fleet.client.patch(path, json={"name": "", "tags": [], "groups": []}, headers=newest)
    shown = again.json()
    assert (shown["name"], shown["tags"], shown["groups"]) == (None, [], []) and shown["site"] == "Haus Ä"
    assert await ids(fleet, filter="lobby") == [], "what is looked for follows the name"


async def test_groups_are_made_renamed_and_deleted_and_devices_come_and_go(fleet: Any) -> None:
    groups = {one["name"]: one for one in (await fleet.client.get("/v1/groups")).json()["groups"]}
    assert {name: one["devices"] for name, one in groups.items()} == {"north": 2, "Süd": 2}
    path = f"/v1/groups/{groups['north']['group_id']}"
    assert (await fleet.client.post("/v1/groups", json={"name": "north"})).status_code == 409
    assert (await fleet.client.patch(path, json={"name": "x"})).status_code == 428
    seen = {"If-Match": (await fleet.client.get(path)).headers["ETag"]}
    assert (await fleet.client.patch(path, json={"name": "Süd"}, headers=seen)).status_code == 409
    assert (await fleet.client.patch(path, json={"name": "Nord"}, headers=seen)).json()["name"] == "Nord"
    assert (await fleet.client.patch(path, json={"name": "y"}, headers=seen)).status_code == 412
    for method in ("put", "put", "delete", "delete", "put"):
        assert (await fleet.client.request(method, f"{path}/devices/D")).status_code == 204
    assert await ids(fleet, filter="group:nord", sort="id") == ["A", "B", "D"]
    assert (await fleet.client.put(f"{path}/devices/NOBODY")).status_code == 404
    assert (await fleet.client.delete(path)).status_code == 204
    assert (await fleet.client.get(path)).status_code == 404 and (await listed(fleet))["count"] == 6
    tags = (await fleet.client.get("/v1/tags")).json()["tags"]
    assert tags == [{"tag": "door", "devices": 2}, {"tag": "hall", "devices": 1}]
    unknown = await fleet.client.patch("/v1/devices/A", json={"groups": ["Nord"]}, headers={"If-Match": "*"})
    assert unknown.status_code == 422 and "there is no group 'Nord'" in unknown.json()["detail"]


async def test_a_device_of_an_earlier_release_is_found_by_id_and_site(start: Any) -> None:
    cloud = await start()
    async with cloud.cloud.database.writing() as connection:
        await create_many(connection, ["Floor-1"], cloud.time())
        await connection.execute(text("UPDATE devices SET site = 'Plant 3', search = NULL"))
    for chosen in ("floor", "plant", "site~PLANT", 'site:"plant 3"', "id:floor-1", 'name:""'):
        assert await ids(cloud, filter=chosen) == ["Floor-1"], chosen


async def test_no_filter_reaches_another_organisation(start: Any) -> None:
    cloud = await start()
    async with cloud.cloud.database.writing() as connection:
        await connection.execute(text("INSERT INTO organisations (organisation_id, name) VALUES ('acme', 'Acme')"))
        for key in ("A", "acme~A"):
            await devices.create(connection, key, cloud.time())
        for mine, key in (("default", "A"), ("acme", "acme~A")):
            made = await labels.create_group(connection, mine, "north", cloud.time())
            assert made is not None
            await labels.join(connection, [made.group_id], [key])
            await labels.add_tags(connection, [key], ["door"])
        for chosen in ("", "group:north", "tag:door", "a", 'alert:""', "state:never_seen", "-state:offline"):
            for mine, key in (("default", "A"), ("acme", "acme~A")):
                assert await device_search.keys(connection, Scope(mine), filter.parse(chosen), {}, 10) == [key], chosen
        assert {one.devices for one in await labels.groups(connection, "acme")} == {1}
