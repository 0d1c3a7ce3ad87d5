"""One trigger's road through the cloud, on both databases."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from visant_cloud.access import authenticate, revocation
from visant_cloud.store import devices
from visant_cloud.store.tables import triggers


async def test_a_trigger_is_pushed_captured_and_shown_as_executed(start: Any, eventually: Any, picture: Any) -> None:
    cloud = await start()
    async with cloud.stream("D1", device_version="2.0.0") as stream:
        connected = await stream.next()
        assert connected["event"] == "connected" and connected["device_id"] == "D1"
        assert connected["cloud_id"] == cloud.cloud.cloud_id and connected["ping_every"] == 20
        assert connected["duplicate"] is False and connected["server_time"]
        answer = (await cloud.client.post("/v1/devices/D1/trigger")).json()
        assert answer["status"] == "sent" and answer["connected"] is True
        command = await stream.command()
        assert command["trigger_id"] == answer["trigger_id"]
        assert command["cmd"] == "capture" and command["type"] == "manual"
        assert command["issued_at"] < command["expires_at"]
        row = await eventually(lambda: sent_row(cloud, "D1", answer["trigger_id"]))
        assert row["status"] == "sent" and str(row["seq"]) == stream.id
        stored = await cloud.capture("D1", answer["trigger_id"], image=picture(640, 480))
        assert stored.status_code == 201
    row = await cloud.row("D1", answer["trigger_id"])
    assert row["status"] == "executed" and row["reason"] is None and row["history"] == []
    assert row["created_at"] <= row["sent_at"] <= row["stored_at"] and row["latency_ms"] > 0
    found = await cloud.client.get(f"/v1/captures/{stored.json()['record_id']}/picture")
    assert found.content == picture(640, 480) and found.headers["content-type"] == "image/jpeg"
    small = await cloud.client.get(f"/v1/captures/{stored.json()['record_id']}/thumbnail")
    assert small.content.startswith(b"\xff\xd8\xff")


async def sent_row(cloud: Any, device_id: str, trigger_id: str) -> Any:
    row = await cloud.row(device_id, trigger_id)
    return row if row["sent_at"] else None


async def test_a_command_of_a_kind_that_this_release_does_not_know_is_left_alone_and_ends_no_stream(
    start: Any, eventually: Any
) -> None:
    cloud = await start()
    await cloud.register()
    strange, good = await cloud.trigger("D1"), await cloud.trigger("D1")
    async with cloud.cloud.database.writing() as connection:  # as a newer release that was taken back leaves it
        await connection.execute(update(triggers).where(triggers.c.trigger_id == strange).values(kind="zoom"))
    async with cloud.stream("D1") as stream:
        assert (await stream.command())["trigger_id"] == good
        await eventually(lambda: sent_row(cloud, "D1", good))
        assert (await cloud.row("D1", strange))["status"] == "pending"
        another = await cloud.trigger("D1")
        assert (await stream.command())["trigger_id"] == another


async def test_the_receipt_carries_every_field_of_the_plain_form(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    receipt = (await cloud.capture("D1", await cloud.trigger("D1"))).json()
    expected = "record_id device_id captured_at ingested_at evaluation_status state score reason evaluated_at "
    assert set(receipt) == set((expected + "image_stored thumbnail_stored").split())
    assert receipt["evaluation_status"] == "evaluated" and receipt["image_stored"] is True
    assert receipt["state"] == "useful" and receipt["score"] == 1.0 and receipt["reason"]
    assert receipt["evaluated_at"] == receipt["ingested_at"]


async def test_the_same_trigger_delivered_again_gets_the_first_receipt(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    trigger_id = await cloud.trigger("D1")
    first = await cloud.capture("D1", trigger_id)
    second = await cloud.capture("D1", trigger_id)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert len((await cloud.client.get("/v1/captures")).json()["captures"]) == 1


async def test_what_is_meant_for_another_cloud_is_refused_and_nothing_is_stored(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    trigger_id = await cloud.trigger("D1")
    body = {"device_id": "D1", "trigger_id": trigger_id, "image_base64": "", "captured_at": "2026-11-22T14:00:00Z"}
    report = {"status": "failed", "reason": "camera_absent"}
    for path, said in (("/v1/captures", body), (f"/v1/devices/D1/triggers/{trigger_id}/outcome", report)):
        answer = await cloud.client.post(path, json=said, headers={"X-Visant-Cloud": "the one before the reset"})
        assert (answer.status_code, answer.json()["reason"]) == (412, "another_cloud")
    row = (await cloud.client.get(f"/v1/triggers/D1/{trigger_id}")).json()
    assert row["status"] in ("pending", "sent")
    mine = {"X-Visant-Cloud": cloud.cloud.cloud_id}
    answer = await cloud.client.post(f"/v1/devices/D1/triggers/{trigger_id}/outcome", json=report, headers=mine)
    assert answer.status_code == 200


async def test_ten_deliveries_of_one_picture_at_once_leave_one_record_and_one_file(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    trigger_id = await cloud.trigger("D1")
    answers = await asyncio.gather(*(cloud.capture("D1", trigger_id) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len({answer.json()["record_id"] for answer in answers}) == 1
    assert len([path for path in cloud.files() if ".thumb" not in path.name]) == 1


async def test_captures_without_a_trigger_are_each_a_record(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    answers = [await cloud.capture("D1", None) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["record_id"] != answers[1].json()["record_id"]


async def test_a_capture_of_an_unknown_trigger_makes_its_row(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    for trigger_id in ("manual_D1_20261122_140530_123456", "a/b c?d", "x" * 300):
        assert (await cloud.capture("D1", trigger_id)).status_code == 201
    rows = (await cloud.client.get("/v1/devices/D1/triggers")).json()["triggers"]
    assert [row["status"] for row in rows] == ["executed"] * 3
    assert rows[0]["trigger_id"] == "x" * 300


async def test_the_same_idempotency_key_gives_the_same_trigger(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    await cloud.register("D2")

    async def fire(device_id: str) -> str:
        answer = await cloud.client.post(f"/v1/devices/{device_id}/trigger", headers={"Idempotency-Key": "k"})
        assert answer.status_code == 200
        return str(answer.json()["trigger_id"])

    ids = await asyncio.gather(*(fire("D1") for _ in range(8)))
    assert len(set(ids)) == 1
    assert await fire("D2") not in ids, "a key counts per device"
    async with cloud.stream("D1") as stream:
        await stream.next()
        assert (await stream.command())["trigger_id"] == ids[0]
        assert await fire("D1") == ids[0]
        other = await cloud.trigger("D1")
        assert (await stream.command())["trigger_id"] == other, "the repeated key pushes nothing"


async def test_an_offline_device_gets_its_triggers_in_order_when_it_connects(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    answer = (await cloud.client.post("/v1/devices/D1/trigger")).json()
    assert answer["status"] == "queued" and answer["connected"] is False
    wanted = [answer["trigger_id"], *await cloud.triggers("D1", 249)]
    async with cloud.stream("D1") as stream:
        assert [(await stream.command())["trigger_id"] for _ in wanted] == wanted
        ids = [int(line[3:]) for line in stream.raw if line.startswith("id:")]
        assert ids == sorted(set(ids))


async def test_every_connection_replays_what_has_no_outcome_and_has_not_expired(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    short = await cloud.trigger("D1", expires_in=30)
    done, failed, left = [await cloud.trigger("D1") for _ in range(3)]
    async with cloud.stream("D1") as stream:
        assert [(await stream.command())["trigger_id"] for _ in range(4)] == [short, done, failed, left]
    await cloud.capture("D1", done)
    outcome = {"status": "failed", "reason": "camera_absent"}
    assert (await cloud.client.post(f"/v1/devices/D1/triggers/{failed}/outcome", json=outcome)).status_code == 200
    cloud.time.pass_(31)
    last = await cloud.trigger("D1")
    async with cloud.stream("D1") as stream:
        assert [(await stream.command())["trigger_id"] for _ in range(2)] == [left, last]


async def test_triggers_survive_a_restart_of_the_cloud_and_its_id_stays(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    trigger_id, cloud_id = await cloud.trigger("D1"), cloud.cloud.cloud_id
    cloud = await start()
    assert cloud.cloud.cloud_id == cloud_id
    async with cloud.stream("D1") as stream:
        assert (await stream.command())["trigger_id"] == trigger_id


async def test_no_trigger_falls_between_replay_and_live_while_streams_come_and_go(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    fired: list[str] = []
    seen: set[str] = set()
    done = asyncio.Event()

    async def fire() -> None:
        for _ in range(30):
            fired.append(await cloud.trigger("D1"))
        done.set()

    async def read_a_little() -> None:
        while not (done.is_set() and seen == set(fired)):
            async with cloud.stream("D1") as stream:
                for _ in range(7):
                    message = await stream.command()
                    if message["trigger_id"] in seen:
                        continue
                    seen.add(message["trigger_id"])
                    report = {"status": "failed", "reason": "camera_stalled"}
                    path = f"/v1/devices/D1/triggers/{message['trigger_id']}/outcome"
                    await cloud.client.post(path, json=report)
                    if len(seen) == 30:
                        return

    async with asyncio.timeout(60):
        await asyncio.gather(fire(), read_a_little())
    assert seen == set(fired)


async def test_pings_name_the_last_command_of_this_stream(start: Any) -> None:
    cloud = await start(ping_every=0.2)
    async with cloud.stream("D1") as stream:
        await stream.next()
        ping = await stream.next()
        assert ping["event"] == "ping" and ping["server_time"] and "last_id" not in ping
        await cloud.trigger("D1")
        await stream.command()
        sent = stream.id
        ping = await stream.next()
        assert ping["event"] == "ping" and ping["last_id"] == sent


async def test_two_streams_of_one_id_both_get_commands_and_the_second_is_told(start: Any) -> None:
    cloud = await start()
    async with cloud.stream("D1") as one, cloud.stream("D1") as two:
        assert (await one.next())["duplicate"] is False
        assert (await two.next())["duplicate"] is True
        assert (await cloud.client.get("/v1/devices/connected")).json() == {
            "devices": [{"device_id": "D1", "subscribers": 2}],
            "count": 1,
        }
        trigger_id = await cloud.trigger("D1")
        assert [(await each.command())["trigger_id"] for each in (one, two)] == [trigger_id] * 2
        page = await cloud.client.get("/")
        assert "2 streams" in page.text


async def test_a_burst_of_600_triggers_reaches_a_device_whole_and_in_order(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    async with cloud.stream("D1") as stream:
        await stream.next()
        wanted = await cloud.triggers("D1", 600)
        assert [(await stream.command())["trigger_id"] for _ in wanted] == wanted


async def test_the_history_pages_through_everything(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    wanted = [await cloud.trigger("D1") for _ in range(7)]
    got: list[str] = []
    before: int | None = None
    while True:
        query = {"limit": 3, **({"before": before} if before else {})}
        answer = (await cloud.client.get("/v1/devices/D1/triggers", params=query)).json()
        got += [row["trigger_id"] for row in answer["triggers"]]
        before = answer["next_before"]
        if before is None:
            break
    assert got == wanted[::-1]


async def test_settings_reach_a_connected_device_now_and_others_at_their_connection(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    answer = (await cloud.client.put("/v1/devices/D1/config", json={"brightness": 7})).json()
    assert answer["connected"] is False and answer["trigger_id"] is None
    async with cloud.stream("D1") as stream:
        assert (await stream.next())["config"] == {"brightness": 7}
        answer = (await cloud.client.put("/v1/devices/D1/config", json={"brightness": 8})).json()
        command = await stream.command()
        assert command == {"cmd": "update_config", "trigger_id": answer["trigger_id"], "config": {"brightness": 8}}
    path = f"/v1/devices/D1/triggers/{answer['trigger_id']}/outcome"
    assert (await cloud.client.post(path, json={"status": "executed"})).json()["status"] == "executed"


async def test_older_settings_are_not_replayed_once_newer_are_there(start: Any, eventually: Any) -> None:
    cloud = await start()
    async with cloud.stream("D1") as stream:
        await stream.next()
        old = (await cloud.client.put("/v1/devices/D1/config", json={"brightness": 1})).json()["trigger_id"]
    await eventually(lambda: nobody_of("D1", cloud))
    assert (await cloud.client.put("/v1/devices/D1/config", json={"brightness": 2})).json()["trigger_id"] is None
    picture = await cloud.trigger("D1")
    async with cloud.stream("D1") as stream:
        assert (await stream.next())["config"] == {"brightness": 2}
        assert (await stream.command())["trigger_id"] == picture
        new = [(await cloud.client.put("/v1/devices/D1/config", json={"brightness": n})).json() for n in (3, 4)]
        while (await stream.command())["trigger_id"] != new[-1]["trigger_id"]:
            pass  # those of 3, where they were quicker than those of 4
    async with cloud.stream("D1") as stream:
        assert (await stream.next())["config"] == {"brightness": 4}
        assert (await stream.command())["trigger_id"] == picture
        assert (await stream.command())["trigger_id"] == new[-1]["trigger_id"]
    path = f"/v1/devices/D1/triggers/{old}/outcome"
    said = await cloud.client.post(path, json={"status": "executed"})
    assert said.json()["status"] == "executed", "the device may have had them"


async def nobody_of(device_id: str, cloud: Any) -> bool:
    return bool(cloud.cloud.hub.subscribers(device_id) == 0)


async def test_settings_put_while_a_stream_begins_are_not_lost(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = await start()
    await cloud.register()
    let_in, put = authenticate.device, False

    async def and_then_settings_are_put(*given: Any, **named: Any) -> Any:
        nonlocal put
        device = await let_in(*given, **named)
        if not put:
            put = True
            await cloud.client.put("/v1/devices/D1/config", json={"brightness": 1})
        return device

    monkeypatch.setattr(authenticate, "device", and_then_settings_are_put)
    async with cloud.stream("D1") as stream:
        assert (await stream.next())["config"] == {"brightness": 1}


async def test_a_stream_that_told_older_settings_ends_and_the_next_tells_the_newer(start: Any) -> None:
    cloud = await start()
    await cloud.register()
    async with AsyncExitStack() as streams:
        async with cloud.cloud.database.writing() as connection:
            await devices.change(connection, "D1", active=True)  # holds the row: the PUT waits for it
            put = asyncio.create_task(cloud.client.put("/v1/devices/D1/config", json={"brightness": 9}))
            await asyncio.sleep(0.3)  # it has looked who is connected
            stream = await streams.enter_async_context(cloud.stream("D1"))
            assert "config" not in await stream.next()
        assert (await put).json()["trigger_id"] is None
        assert await stream.ended()
    async with cloud.stream("D1") as again:
        assert (await again.next())["config"] == {"brightness": 9}


async def test_a_stream_that_missed_settings_of_another_process_ends_at_the_next_check(start: Any) -> None:
    cloud = await start()
    async with cloud.stream("D1") as stream:
        await stream.next()
        await cloud.client.put("/v1/devices/D1/config", json={"brightness": 1})
        await stream.command()
        await revocation.check_streams(cloud.cloud)
        async with cloud.cloud.database.writing() as connection:
            await devices.change(connection, "D1", config={"brightness": 2})
        await revocation.check_streams(cloud.cloud)
        assert await stream.ended()
    async with cloud.stream("D1") as stream:
        assert (await stream.next())["config"] == {"brightness": 2}


async def test_a_device_that_reads_only_data_lines_is_served(start: Any) -> None:
    """The old client: one JSON object a line, everything else ignored, reconnects without any id."""
    cloud = await start()
    trigger_ids = []
    async with cloud.stream("OLD1") as stream:
        await stream.next()
        trigger_ids.append(await cloud.trigger("OLD1"))
        event = await stream.command()
    body = {"image_base64": (await plain_body(event)), "device_id": "OLD1", "trigger_id": event["trigger_id"]}
    body |= {"captured_at": "2026-11-22T14:05:30", "trigger_label": f"manual_{event['trigger_id']}"}
    refused = await cloud.client.post("/v1/captures", json=body)
    assert refused.status_code == 201, refused.text
    assert refused.json()["record_id"]
    for line in stream.raw:
        assert line == "" or line.startswith(("data: {", "id: ", "retry: "))


async def plain_body(event: dict[str, Any]) -> str:
    import base64

    from PIL import Image

    assert event["cmd"] == "capture" and event["type"] == "manual"
    import io

    data = io.BytesIO()
    Image.new("RGB", (32, 24)).save(data, "JPEG")
    return base64.b64encode(data.getvalue()).decode()


async def test_an_unknown_device_is_told_so_plainly(start: Any) -> None:
    cloud = await start()
    for method, path in (
        ("POST", "/v1/devices/NOPE/trigger"),
        ("GET", "/v1/devices/NOPE/triggers"),
        ("GET", "/v1/devices/NOPE"),
    ):
        answer: httpx.Response = await cloud.client.request(method, path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert "'NOPE' is unknown" in answer.json()["detail"]


async def test_no_database_connection_is_held_while_streams_are_open(start: Any, eventually: Any) -> None:
    cloud = await start()
    async with AsyncExitStack() as open_streams:
        for number in range(30):
            stream = await open_streams.enter_async_context(cloud.stream(f"D{number}"))
            await stream.next()
        pool = cloud.cloud.database.engine.pool

        async def all_given_back() -> bool:
            return bool(pool.checkedout() == 0)

        await eventually(all_given_back)
        assert (await cloud.client.get("/v1/devices")).json()["count"] == 30
