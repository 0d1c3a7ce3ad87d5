"""Whoever may not come in any more is out within a second, whichever process or command said so."""

from typing import Any

import pytest

from tests.support.raw_stream import RawStream, connect
from visant_cloud.access import authenticate, credentials, revocation
from visant_cloud.access.revocation import Revocation
from visant_cloud.store import access, access_changes, devices


async def closed(start: Any) -> tuple[Any, dict[str, str]]:
    cloud = await start(auth="required")
    token = credentials.api_token()
    async with cloud.cloud.database.writing() as connection:
        await access.add_api_token(connection, "default", "test", credentials.digest(token), cloud.time())
    return cloud, bearer(token)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def device(cloud: Any, api: dict[str, str], device_id: str, **more: Any) -> str:
    answer = await cloud.client.post("/v1/devices", json={"device_id": device_id, **more}, headers=api)
    return str(answer.json()["token"])


async def stream(url: str, device_id: str, token: str | None) -> RawStream:
    one = await connect(url, device_id, headers="" if token is None else f"Authorization: Bearer {token}\r\n")
    if one.status == 200:
        assert (await one.next())["event"] == "connected"
    return one


def test_a_process_looks_twice_a_second() -> None:
    assert revocation.EVERY <= 0.5


@pytest.mark.parametrize(
    "change", [{"token_revoked": True}, {"active": False}, {"token_hash": "0" * 64}, {"token_seen_at": None}]
)
async def test_one_look_ends_the_streams_of_whom_another_process_barred_and_no_other(
    start: Any, change: dict[str, Any]
) -> None:
    cloud, api = await closed(start)
    look = Revocation(cloud.cloud).look
    old = "token_seen_at" in change  # somebody presents its token elsewhere
    token, other = await device(cloud, api, "D1", old_client=old), await device(cloud, api, "D2")
    one, untouched = await stream(cloud.url, "D1", None if old else token), await stream(cloud.url, "D2", other)
    await look()
    await look()
    assert cloud.cloud.hub.subscribers("D1") == 1
    async with cloud.cloud.database.writing() as connection:
        if old:
            found = await devices.find(connection, "D1")
            assert found is not None
            await devices.mark_token_seen(connection, found, cloud.time())
        else:
            await devices.change(connection, "D1", **change)
    await look()
    assert await one.ended()
    assert cloud.cloud.hub.subscribers("D2") == 1
    one.close()
    untouched.close()


async def test_a_stream_that_is_being_let_in_as_its_device_is_barred_elsewhere_does_not_begin(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, api = await closed(start)
    token = await device(cloud, api, "D1")
    look = Revocation(cloud.cloud).look
    await look()
    read = authenticate.device

    async def barred_meanwhile(*given: Any, **named: Any) -> Any:
        found = await read(*given, **named)
        monkeypatch.setattr(authenticate, "device", read)
        async with cloud.cloud.database.writing() as connection:
            await devices.change(connection, "D1", token_revoked=True)
        await look()
        return found

    monkeypatch.setattr(authenticate, "device", barred_meanwhile)
    one = await stream(cloud.url, "D1", token)
    assert one.status == 401
    one.close()


async def test_what_has_nothing_to_do_with_who_may_come_in_has_nobody_look(start: Any) -> None:
    cloud, api = await closed(start)
    token, database = await device(cloud, api, "D1"), cloud.cloud.database
    before = await access_changes.last(database)
    (await stream(cloud.url, "D1", token)).close()
    await cloud.client.put("/v1/devices/D1/config", json={"brightness": 3}, headers=api)
    await cloud.client.post("/v1/devices/D1/telemetry", json={"device_version": "3"}, headers=bearer(token))
    assert await access_changes.last(database) == before
    await cloud.client.patch("/v1/devices/D1", json={"active": False}, headers=api)
    assert await access_changes.last(database) != before
