"""Both ends beside peers that know nothing of the extensions."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image

from emulation.cloud_api import CloudApi
from emulation.console import LogFiles
from emulation.ports import hold_port
from emulation.stack import Cloud, Device
from emulation.wait import until
from tests.conformance.fake_plain_cloud import FakePlainCloud
from tests.conformance.fake_plain_device import FakePlainDevice

RECEIPT = {"record_id", "device_id", "captured_at", "ingested_at", "evaluation_status", "state", "score", "reason"}
RECEIPT |= {"evaluated_at", "image_stored", "thumbnail_stored"}


def jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(out, "JPEG")
    return out.getvalue()


def true(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return condition()

    return ask


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    cloud = Cloud(tmp_path / "cloud", LogFiles(tmp_path / "logs"), {"PING_EVERY": "1"}, port=hold_port())
    try:
        await cloud.start()
        yield cloud
    finally:
        await cloud.stop()


async def test_a_plain_client_is_served_by_our_cloud(cloud: Cloud) -> None:
    client = FakePlainDevice(cloud.url, "OLD-1", jpeg())
    running = asyncio.create_task(client.run(3))
    async with CloudApi(cloud.url) as api:
        try:

            async def listening() -> bool:
                return (await api.subscribers()).get("OLD-1", 0) == 1

            await until("the old client listens", listening, within=120)
            await until("it has read a ping", true(lambda: "ping" in client.events), within=120)
            triggers = [await api.trigger("OLD-1", f"key-{number}") for number in range(3)]
            async with asyncio.timeout(120):
                await running
            rows = await api.triggers("OLD-1")
        finally:
            running.cancel()
    assert client.events[0] == "connected"
    assert list(client.receipts) == triggers
    assert {rows[trigger].status for trigger in triggers} == {"executed"}
    for trigger, receipt in client.receipts.items():
        assert set(receipt) >= RECEIPT
        assert receipt["record_id"] == rows[trigger].record_id


async def test_a_plain_client_reads_the_reason_in_detail(cloud: Cloud) -> None:
    async with httpx.AsyncClient(base_url=cloud.url, trust_env=False) as client:
        body = {"device_id": "OLD-1", "image_base64": "no base64!", "captured_at": "2026-11-22T14:00:00Z"}
        unknown = await client.post("/v1/captures", json=body)
        (await client.post("/v1/devices", json={"device_id": "OLD-1"})).raise_for_status()
        refused = await client.post("/v1/captures", json=body)
    assert (unknown.status_code, refused.status_code) == (404, 400)
    for answer in (unknown, refused):
        assert isinstance(answer.json()["detail"], str)


@pytest.fixture
async def plain() -> AsyncIterator[FakePlainCloud]:
    async with FakePlainCloud(hold_port(), "FLOOR1", silence=1.0) as plain:
        yield plain


@pytest.fixture
async def device(tmp_path: Path, plain: FakePlainCloud) -> AsyncIterator[Device]:
    settings = {"RECONNECT_DELAY": "0.5", "TELEMETRY_INTERVAL": "5", "CAPTURE_PATIENCE": "2"}
    device = Device("FLOOR1", tmp_path / "device", plain.url, LogFiles(tmp_path / "logs"), settings)
    try:
        await device.start()
        await device.healthy()
        yield device
    finally:
        await device.stop()


async def test_our_device_serves_a_plain_cloud(plain: FakePlainCloud, device: Device) -> None:
    """Pictures arrive once; what such a cloud does not know is asked for without harm, and no storm follows."""
    await until("a ping", true(lambda: plain.pings > 0), within=120)
    triggers = [plain.trigger("manual"), plain.trigger("scheduled")]
    await until("both pictures", true(lambda: len(plain.captures) == 2), within=120)
    for stored in plain.captures:
        assert stored.trigger_id in triggers
        assert stored.label == f"{stored.trigger_id.split('_')[0]}_{stored.trigger_id}"[:100]
        assert stored.body["metadata"]["trigger_type"] == stored.trigger_id.split("_")[0]
        Image.open(io.BytesIO(stored.jpeg)).verify()

    plain.send({"cmd": "dance", "trigger_id": "unknown-1"})
    await until(
        "the outcome was offered", true(lambda: any("unknown-1" in path for path in plain.not_found)), within=120
    )
    plain.send({"event": "weather"})
    plain.send({"cmd": "capture"})

    await device.uploader.kill()
    late = [plain.trigger() for _ in range(3)]
    await until("pictures after a kill", true(lambda: len(plain.captures) == 5), within=120)
    assert sorted(stored.trigger_id for stored in plain.captures) == sorted(triggers + late)

    async def spool_is_empty() -> bool:
        return not [path for path in device.spool.rglob("*") if path.suffix in (".picture", ".report")]

    await until("nothing is kept that this cloud does not take", spool_is_empty, within=120)
    offered = [path for path in plain.not_found if path.endswith("/outcome")]
    assert len(offered) == len(set(offered)), "an outcome that a plain cloud does not know was offered again and again"
    assert plain.connections == 1
    assert len(plain.captures) == 5


async def test_uploads_to_a_plain_cloud_are_tried_again(plain: FakePlainCloud, device: Device) -> None:
    plain.upload_status = 503
    trigger = plain.trigger()

    async def spooled() -> bool:
        return len(list(device.spool.rglob("*.picture"))) == 1

    await until("the picture waits", spooled, within=120)
    plain.upload_status = 201
    await until("the picture is there", true(lambda: len(plain.captures) == 1), within=120)
    assert plain.captures[0].trigger_id == trigger


async def test_a_plain_cloud_that_becomes_ours_at_its_address_gets_what_waited_for_it(
    plain: FakePlainCloud, device: Device, tmp_path: Path
) -> None:
    """The fleet's migration: nobody touches a device."""
    plain.upload_status = 503
    triggers = [plain.trigger() for _ in range(3)]

    async def spooled() -> bool:
        return len(list(device.spool.rglob("outbox/*/*.picture"))) == 3

    async def spool_is_empty() -> bool:
        return not [path for path in device.spool.rglob("*") if path.suffix in (".picture", ".report")]

    await until("the pictures wait", spooled, within=120)
    await plain.__aexit__()
    ours = Cloud(tmp_path / "cloud", LogFiles(tmp_path / "logs"), {"SUCCEEDS": "1"}, port=plain.port)
    try:
        await ours.start()
        async with CloudApi(ours.url) as api:

            async def listening() -> bool:
                return (await api.subscribers()).get("FLOOR1", 0) == 1

            async def executed() -> bool:
                rows = await api.triggers("FLOOR1")
                return {one for one, row in rows.items() if row.status == "executed"} == set(triggers)

            await until("the device is at the new cloud", listening, within=120)
            await until("what waited is there", executed, within=120)
            new = await api.trigger("FLOOR1", "key-1")
            triggers.append(new)
            await until("new pictures come, raw", executed, within=120)
            assert len(await api.captures("FLOOR1")) == 4
            # a row is there before its receipt has arrived: without it the device keeps the file, as it should
            await until("nothing is left", spool_is_empty, within=120)
    finally:
        await ours.stop()
    assert plain.captures == []
