"""Organisations: nobody sees, changes or receives what is another's, not even of a device that has the same id."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from visant_cloud.access import cli, credentials
from visant_cloud.alerts.engine import Key, Opened
from visant_cloud.alerts.states import Cause
from visant_cloud.store import access, alerts, devices, organisations, people
from visant_cloud.store.keys import device_id_of, device_key, organisation_of
from visant_cloud.store.tables import device_groups, group_members

PASSWORD = "correct horse battery"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def program(cloud: Any, organisation_id: str) -> dict[str, str]:
    """The headers of an API token of an organisation, made with it."""
    token = credentials.api_token()
    async with cloud.cloud.database.writing() as connection:
        await organisations.create(connection, organisation_id, organisation_id.title())
        await access.add_api_token(connection, organisation_id, "test", credentials.digest(token), cloud.time())
    return bearer(token)


async def made(cloud: Any, api: dict[str, str], device_id: str) -> dict[str, str]:
    """The headers of a new device."""
    answer = await cloud.client.post("/v1/devices", json={"device_id": device_id}, headers=api)
    assert answer.status_code == 201, answer.text
    return bearer(answer.json()["token"])


async def told(cloud: Any, device: dict[str, str], device_id: str = "D1") -> dict[str, Any]:
    """What `connected` says to the device."""
    async with cloud.stream(device_id, device["Authorization"].removeprefix("Bearer ")) as stream:
        return dict(await stream.next())


async def everything(cloud: Any, api: dict[str, str]) -> list[Any]:
    """All that an organisation has of device D1, times of the moment apart."""
    found = []
    paths = ("/v1/devices/D1", "/v1/devices/D1/triggers", "/v1/captures", "/v1/devices", "/v1/people", "/v1/invites")
    more = ("/v1/groups", "/v1/tags", "/v1/jobs", "/v1/enrol-batches", "/v1/schedules")
    for path in (*paths, *more, "/v1/alerts", "/v1/alerts/rules", "/v1/channels", "/v1/silences"):
        answer = await cloud.client.get(path, headers=api)
        assert answer.status_code == 200, path
        found.append(answer.json())
    return found


async def grouped(cloud: Any, group: str, *device_ids: str) -> int:
    """A new group of the default organisation with these devices; its id."""
    async with cloud.cloud.database.writing() as connection:
        row = {"organisation_id": "default", "name": group, "created_at": cloud.time()}
        new = insert(device_groups).values(row).returning(device_groups.c.group_id)
        group_id = (await connection.execute(new)).scalar_one()
        for device_id in device_ids:
            member = {"organisation_id": "default", "group_id": group_id, "device_key": device_id}
            await connection.execute(insert(group_members).values(member))
    return int(group_id)


async def people_of(cloud: Any, api: dict[str, str]) -> dict[str, str]:
    """A person with a session, an invite and a token, all called `mine`; their ids."""
    async with cloud.cloud.database.writing() as connection:
        await people.set_operator(connection, "default", "mine", "hash", cloud.time(), role="viewer")
        found = await people.operator(connection, "mine")
        assert found is not None
        expires_at = cloud.time() + timedelta(days=1)
        await access.open_session(connection, "5" * 64, found[0], "csrf", cloud.time(), expires_at)
    ids = {"person_id": found[0], "session_id": "5" * 32}
    for path, key in (("/v1/invites", "invite_id"), ("/v1/tokens", "token_id")):
        body = {"name": f"mine {key}", "role": "viewer"}
        ids[key] = (await cloud.client.post(path, json=body, headers=api)).json()[key]
    return ids


async def alerting(cloud: Any, api: dict[str, str]) -> dict[str, int]:
    """An alert of D1, a silence, a schedule, and a channel with a delivery, all with a note or name `mine`; their
    numbers."""
    opened = Opened(Key("default", "D1", "camera"), "mine", Cause("camera", None, "mine", "mine"))
    async with cloud.cloud.database.writing() as connection:
        await alerts.open_alerts(connection, [opened], cloud.time())
    until = (cloud.time() + timedelta(hours=1)).isoformat()
    made = {
        "silence_id": ("/v1/silences", {"device_id": "D1", "until": until, "note": "mine"}),
        "schedule_id": (
            "/v1/schedules",
            {"name": "mine", "rule": {"interval_seconds": 3600}, "attached": {"devices": ["D1"]}},
        ),
        "channel_id": ("/v1/channels", {"type": "webhook", "name": "mine", "target": "https://mine.example/"}),
    }
    found = {"alert_id": (await cloud.client.get("/v1/alerts", headers=api)).json()["alerts"][0]["alert_id"]}
    for key, (path, body) in made.items():
        found[key] = (await cloud.client.post(path, json=body, headers=api)).json()[key]
    answer = await cloud.client.post(f"/v1/channels/{found['channel_id']}/test", headers=api)
    return found | {"delivery_id": answer.json()["delivery_id"]} | await with_a_job(cloud, api)


async def with_a_job(cloud: Any, api: dict[str, str]) -> dict[str, int]:
    """A group with D1, a job that waits and a batch of codes, all called `mine`; their numbers."""
    group = await cloud.client.post("/v1/groups", json={"name": "mine"}, headers=api)
    edit = {"groups": ["mine"], "tags": ["mine"], "name": "mine", "notes": "mine"}
    await cloud.client.patch("/v1/devices/D1", json=edit, headers={**api, "If-Match": "*"})
    body = {"selection": {"filter": "group:mine"}, "action": {"do": "tags", "add": ["mine"]}}
    job = await cloud.client.post("/v1/bulk", json=body, headers=api)
    batch = await cloud.client.post("/v1/enrol-batches", json={"title": "mine", "count": 1}, headers=api)
    numbers = {"group_id": group, "job_id": job, "batch_id": batch}
    return {"number": 1} | {name: answer.json()[name] for name, answer in numbers.items()}


@pytest.fixture
async def two(start: Any) -> tuple[Any, dict[str, str], dict[str, str], dict[str, str]]:
    """A cloud, the programs of two organisations, and the first one's device D1 with a trigger `t` and its picture."""
    cloud = await start(auth="required")
    mine, theirs = await program(cloud, "default"), await program(cloud, "acme")
    device = await made(cloud, mine, "D1")
    assert (await cloud.capture("D1", "t", headers=device)).status_code == 201
    return cloud, mine, theirs, device


@pytest.mark.parametrize("limits", ["another organisation", "another group"])
async def test_no_endpoint_shows_or_changes_what_another_organisation_or_group_has(two: Any, limits: str) -> None:
    cloud, mine, theirs, _ = two
    record_id = (await cloud.client.get("/v1/captures", headers=mine)).json()["captures"][0]["record_id"]
    numbers: dict[str, Any] = await alerting(cloud, mine) | await people_of(cloud, mine)
    own = await made(cloud, theirs if limits == "another organisation" else mine, "OWN")
    if limits == "another group":
        await grouped(cloud, "south", "D1")
        await grouped(cloud, "north", "OWN")
        body = {"name": "north", "role": "operator", "groups": ["north"]}
        theirs = bearer((await cloud.client.post("/v1/tokens", json=body, headers=mine)).json()["token"])
    before = await everything(cloud, mine)
    bodies: dict[str, Any] = {
        "/v1/devices/{device_id}": {"active": False},
        "/v1/devices/{device_id}/schedule": {"interval_seconds": 60},
        "/v1/devices/{device_id}/config": {"brightness": 1},
        "/v1/devices/{device_id}/telemetry": {"device_version": "2"},
        "/v1/devices/{device_id}/triggers/{trigger_id}/outcome": {"status": "failed", "reason": "camera_absent"},
    }
    bodies |= {
        "/v1/silences": {"until": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
        "/v1/channels": {"type": "webhook", "name": "x", "target": "https://x.example/"},
        "/v1/captures/archive": {"record_ids": [record_id]},
        "/v1/captures/{record_id}/evaluation": {"score": 1.0},
        "/v1/devices/{device_id}/reference": {"record_id": record_id},
        "/v1/devices/{device_id}/mask": {"polygons": [[[0.0, 0.0], [0.1, 0.0], [0.1, 0.1]]]},
        "/v1/groups": {"name": "x"},
        "/v1/groups/{group_id}": {"name": "y"},
        "/v1/enrol-batches": {"title": "x", "count": 1},
        "/v1/bulk": {"selection": {"devices": ["D1", "OWN"]}, "action": {"do": "suspend"}},
        "/v1/bulk/preview": {"selection": {"devices": ["OWN"]}},
        "/v1/schedules": {"name": "x", "rule": {"interval_seconds": 60}},
        "/v1/schedules/preview": {"rule": {"interval_seconds": 60}},
        "/v1/schedules/{schedule_id}": {"name": "x", "rule": {"interval_seconds": 60}},
        "/v1/invites": {"name": "Eve", "role": "viewer"},
        "/v1/tokens": {"name": "eve", "role": "viewer"},
        "/v1/people/{person_id}": {"role": "admin"},
        "/v1/me/password": {"current": "", "new": PASSWORD},
    }
    queries: dict[str, dict[str, Any]] = {"/v1/captures/moment": {"at": "2026-06-01T12:00:00Z"}}
    fine = {200, 201, 202} if limits == "another organisation" else {200, 201, 202, 403}  # of the whole organisation
    described = (await cloud.client.get("/openapi.json", headers=mine)).json()["paths"]
    tried = 0
    for path, methods in described.items():
        if path in ("/v1/enrol", "/v1/captures"):
            continue  # a code and a body say whose device it is: below
        if path == "/v1/events":
            continue  # it has no end: test_events.py
        for name in ("D1", "default~D1", "acme~D1"):
            url = path.replace("{device_id}", name).replace("{record_id}", record_id).replace("{trigger_id}", "t")
            for key, number in numbers.items():
                url = url.replace(f"{{{key}}}", str(number))
            if url == path and name != "D1":
                continue
            for method, operation in methods.items():
                if method == "post" and path == "/v1/devices":
                    continue
                headers = theirs if "device" not in operation["tags"] else own
                query = {"pictures": True} if method == "delete" else queries.get(path)
                answer = await cloud.client.request(
                    method, url, headers=headers, json=bodies.get(path, {}), params=query
                )
                named = "{" in path or (method, path) == ("post", "/v1/captures/archive")
                expected = {403, 404} if named else {409} if path == "/v1/me/password" else fine
                assert answer.status_code in expected, (method, url, answer.text)
                if not named:
                    asked = path.startswith("/v1/audit")  # their own attempts are theirs to see
                    assert asked or (record_id not in answer.text and '"D1"' not in answer.text), (method, url)
                    assert "mine" not in answer.text, (method, url)
                tried += 1
    assert tried >= 30, "the walk went past the routes"
    for page in ("/devices/D1", "/devices/default~D1", "/parts/devices/D1", f"/v1/captures/{record_id}/picture"):
        assert (await cloud.client.get(page, headers=theirs)).status_code == 404, page
    for page in ("/", "/parts/fleet", "/metrics"):
        answer = await cloud.client.get(page, headers=theirs)
        assert answer.status_code == (403 if page == "/metrics" and 403 in fine else 200), page
        assert "D1" not in answer.text and "executed" not in answer.text, page
    for device_id in ("D1", "default~D1"):
        assert (await cloud.capture(device_id, "x", headers=own)).status_code in (403, 404)
    answer = await cloud.client.get("/v1/captures", params={"device_id": "D1"}, headers=theirs)
    assert answer.json().get("captures", []) == []
    assert await everything(cloud, mine) == before


async def test_two_organisations_may_call_their_devices_alike(two: Any) -> None:
    cloud, mine, theirs, _ = two
    other = await made(cloud, theirs, "D1")
    async with cloud.stream("D1", other["Authorization"].removeprefix("Bearer ")) as stream:
        assert (await stream.next())["duplicate"] is False
        for api, connected in ((mine, []), (theirs, [{"device_id": "D1", "subscribers": 1}])):
            assert (await cloud.client.get("/v1/devices/connected", headers=api)).json()["devices"] == connected
        answer = await cloud.client.post("/v1/devices/D1/trigger", headers=mine)
        assert answer.json()["connected"] is False, "that is not the one of ours"
        trigger_id = (await cloud.client.post("/v1/devices/D1/trigger", headers=theirs)).json()["trigger_id"]
        command = await stream.command()
    assert command["trigger_id"] == trigger_id
    receipt = await cloud.capture("D1", "t", headers=other)
    assert receipt.status_code == 201, "the same trigger id of another device is no second delivery"
    assert receipt.json()["device_id"] == "D1"
    for api, count in ((mine, 1), (theirs, 1)):
        records = (await cloud.client.get("/v1/captures", headers=api)).json()["captures"]
        assert len(records) == count and {one["device_id"] for one in records} == {"D1"}
        assert (await cloud.client.get(records[0]["picture"], headers=api)).status_code == 200


async def test_each_organisation_has_its_own_cloud_id_and_a_device_that_moves_takes_nothing_along(two: Any) -> None:
    cloud, _, theirs, device = two
    moved = await made(cloud, theirs, "D1")
    first, second = await told(cloud, device), await told(cloud, moved)
    assert first["cloud_id"] == cloud.cloud.cloud_id != second["cloud_id"]
    assert (await told(cloud, moved))["cloud_id"] == second["cloud_id"]
    held = {"X-Visant-Cloud": first["cloud_id"]}  # a picture that it took for the first one
    answer = await cloud.capture("D1", "held", headers=moved | held)
    assert (answer.status_code, answer.json()["reason"]) == (412, "another_cloud")
    outcome = {"status": "failed", "reason": "camera_absent"}
    answer = await cloud.client.post("/v1/devices/D1/triggers/held/outcome", json=outcome, headers=moved | held)
    assert (answer.status_code, answer.json()["reason"]) == (412, "another_cloud")
    assert (await cloud.capture("D1", "new", headers=moved | {"X-Visant-Cloud": second["cloud_id"]})).status_code == 201


async def test_an_enrolment_code_makes_a_device_of_its_organisation(two: Any) -> None:
    cloud, _, _, _ = two
    code = credentials.enrol_code()
    async with cloud.cloud.database.writing() as connection:
        await access.add_enrol_code(
            connection,
            "acme",
            credentials.digest(credentials.tidy_code(code)),
            device_id=None,
            replace=False,
            now=cloud.time(),
            expires_at=cloud.time().replace(year=2999),
        )
    answer = await cloud.client.post("/v1/enrol", json={"code": code, "device_id": "D1"})
    assert answer.status_code == 201 and answer.json()["device_id"] == "D1", (
        "the other D1 is none of this one's business"
    )
    assert (await told(cloud, bearer(answer.json()["token"])))["device_id"] == "D1"
    async with cloud.cloud.database.reading() as connection:
        assert [row.device_key for row in await devices.everyone(connection, "acme")] == ["acme~D1"]


async def test_an_operator_of_several_organisations_says_which_one(two: Any) -> None:
    cloud, _, theirs, _ = two
    await made(cloud, theirs, "OWN")
    async with cloud.cloud.database.writing() as connection:
        await people.set_operator(connection, "acme", "Ada", credentials.hash_password(PASSWORD), cloud.time())
        found = await people.operator(connection, "Ada")
        assert found is not None
    await cloud.client.post("/sign-in", data={"name": "Ada", "password": PASSWORD})

    async def seen(**headers: str) -> list[str]:
        answer = await cloud.client.get("/v1/devices", headers=headers)
        assert answer.status_code == 200, answer.text
        return [one["device_id"] for one in answer.json()["devices"]]

    assert await seen() == ["OWN"]
    answer = await cloud.client.get("/v1/devices", headers={"Visant-Organisation": "default"})
    assert (answer.status_code, answer.json()["reason"]) == (403, "organisation")
    async with cloud.cloud.database.writing() as connection:
        await people.add_member(connection, "default", found[0])
    assert await seen(**{"Visant-Organisation": "default"}) == ["D1"]
    assert await seen() == ["OWN"], "the own one where none is named"
    async with cloud.cloud.database.writing() as connection:
        assert await people.remove_member(connection, "default", found[0])
    answer = await cloud.client.get("/v1/devices", headers={"Visant-Organisation": "default"})
    assert answer.status_code == 403
    for nonsense in ("nobody", "", "default, acme", "ACME"):
        answer = await cloud.client.get("/v1/devices", headers={"Visant-Organisation": nonsense})
        assert answer.status_code == 403 and "acme" in answer.json()["detail"], nonsense


async def test_old_clients_and_an_open_cloud_live_in_the_default_organisation(start: Any) -> None:
    cloud = await start()
    await cloud.register("D1")
    async with cloud.cloud.database.writing() as connection:
        await organisations.create(connection, "acme", "Acme")
        await devices.create(connection, "acme~OLD", cloud.time(), old_client=True)
    for device_id in ("OLD", "acme~OLD"):
        answer = await cloud.client.get(f"/v1/devices/{device_id}")
        assert answer.status_code == 404
    assert [one["device_id"] for one in (await cloud.client.get("/v1/devices")).json()["devices"]] == ["D1"]


def test_the_commands_act_for_the_organisation_that_they_name(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        status = cli.main(words[0], words[1:])
        said = capsys.readouterr()
        return status, said.out, said.err

    assert run("create-organisation", "acme", "--name", "Acme GmbH")[:2] == (0, "organisation acme created\n")
    for wrong, line in (
        (("create-organisation", "acme"), "organisation acme exists already"),
        (("create-organisation", "Acme~1"), "1 to 32 lower-case letters"),
        (("create-device", "D1", "--organisation", "acm"), "--organisation 'acm': there is none"),
        (("create-device", "acme~D1"), "device id 'acme~D1'"),
        (("add-member", "nobody", "--organisation", "acme"), "there is no operator 'nobody'"),
        (("revoke-device", "D1", "--organisation", "acme"), "there is no device 'D1'"),
    ):
        status, out, err = run(*wrong)
        assert status == 1 and out == "" and line in err and err.count("\n") == 1, (wrong, err)
    assert run("organisations")[1] == "acme\tAcme GmbH\ndefault\tDefault\n"
    for organisation in ("acme", "default"):
        assert run("create-device", "D1", "--organisation", organisation)[0] == 0
        assert run("create-token", "ci", "--organisation", organisation)[1].startswith("va_")
        assert run("devices", "--organisation", organisation)[1].startswith("D1\t")
    assert run("revoke-token", "ci", "--organisation", "acme")[0] == 0
    assert run("revoke-token", "ci", "--organisation", "acme")[0] == 1
    assert run("revoke-token", "ci")[0] == 0, "the other one's of the same name"


def test_a_key_is_read_back_and_no_id_reaches_into_another_organisation() -> None:
    for organisation_id, device_id in (("default", "D1"), ("acme", "D1"), ("a-1", "a.b_c-d")):
        key = device_key(organisation_id, device_id)
        assert (organisation_of(key), device_id_of(key)) == (organisation_id, device_id)
    assert device_key("default", "D1") == "D1", "rows and folders of before stay as they are"
    for wrong in ("acme~D1", "", "a/b", "../x", "D1\n", "~D1"):
        with pytest.raises(ValueError, match="no device id"):
            device_key("default", wrong)
