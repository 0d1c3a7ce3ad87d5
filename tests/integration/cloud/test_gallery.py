"""Pictures by when they were taken, over some devices or all; the same moment; many as one file."""

import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import insert, update

from tests.integration.cloud.conftest import Running, Start, jpeg
from visant_cloud.captures.storage import PictureName
from visant_cloud.store import gallery
from visant_cloud.store.tables import captures, device_groups, device_tags, devices, group_members

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


async def some_pictures(cloud: Running) -> dict[str, str]:
    """name -> record: three devices, a minute between two pictures of one, D2 a second later; D3's are of the day
    before and came last."""
    made: dict[str, str] = {}
    for device, first in (("D1", NOON), ("D2", NOON + timedelta(seconds=1)), ("D3", NOON - timedelta(days=1))):
        await cloud.register(device)
        for number in range(3):
            taken = first + timedelta(minutes=number)
            answer = await cloud.capture(
                device, f"t{number}", captured_at=taken.isoformat(), image=jpeg(320, 240, colour=20 * number + 40)
            )
            assert answer.status_code == 201, answer.text
            made[f"{device} {number}"] = answer.json()["record_id"]
    async with cloud.cloud.database.writing() as connection:
        await connection.execute(update(devices).where(devices.c.device_key == "D1").values(site="hall"))
        await connection.execute(insert(device_groups).values(group_id=1, name="nörd", created_at=NOON))
        await connection.execute(insert(group_members), [{"group_id": 1, "device_key": one} for one in ("D2", "D3")])
        await connection.execute(insert(device_tags).values(device_key="D3", tag="door"))
        covered = captures.c.record_id.in_([made["D1 1"], made["D3 2"]])
        await connection.execute(update(captures).values(state="useful"))
        await connection.execute(update(captures).where(covered).values(state="covered"))
    return made


async def shown(cloud: Running, made: dict[str, str], **query: Any) -> list[str]:
    """The names of all pages of a list, of two pictures each."""
    names = {record: name for name, record in made.items()}
    found: list[str] = []
    for _ in range(10):
        answer = await cloud.client.get("/v1/captures", params={"limit": 2, **query})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [names[one["record_id"]] for one in page["captures"]]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]
    raise AssertionError("a list without an end")


@pytest.mark.parametrize("few", [gallery.FEW, 0], ids=["each device by itself", "through the pictures of all"])
async def test_pictures_are_found_by_time_device_site_group_tag_and_verdict(
    start: Start, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(gallery, "FEW", few)
    cloud = await start()
    made = await some_pictures(cloud)
    newest = ["D2 2", "D1 2", "D2 1", "D1 1", "D2 0", "D1 0"]
    before = ["D3 2", "D3 1", "D3 0"]
    ever = {"from": "2020-01-01T00:00:00Z"}
    assert await shown(cloud, made, **ever) == newest + before
    assert await shown(cloud, made, **{"from": NOON.isoformat()}) == newest
    assert await shown(cloud, made, to=NOON.isoformat()) == before
    assert await shown(cloud, made, device_id=["D1", "D3"]) == ["D1 2", "D1 1", "D1 0", *before]
    assert await shown(cloud, made, site="hall", **ever) == ["D1 2", "D1 1", "D1 0"]
    assert await shown(cloud, made, group="nörd") == ["D2 2", "D2 1", "D2 0", *before]
    assert await shown(cloud, made, tag="door", group="nörd") == before
    assert await shown(cloud, made, state="covered") == ["D1 1", "D3 2"]
    assert await shown(cloud, made, state=["covered", "moved"], group="nörd") == ["D3 2"]
    assert await shown(cloud, made, state=["covered", "useful"], site="hall") == ["D1 2", "D1 1", "D1 0"]
    for nothing in ({"group": "nobody"}, {"site": "?"}, {"tag": "x"}, {"device_id": "D9"}, {"state": "moved"}):
        assert await shown(cloud, made, **{**ever, **nothing}) == []


async def test_what_a_list_cannot_be_asked_is_said_in_one_line(start: Start) -> None:
    cloud = await start()
    asked: list[tuple[dict[str, Any], str]] = [
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "9" * 18 + ".1"}, "cursor"),
        ({"before": 5, "group": "a"}, "before"),
        ({"from": "2026-06-01"}, "from"),
        ({"from": "2026-06-01T00:00:00"}, "from"),
        ({"state": "nice"}, "state"),
    ]
    for query, named in asked:
        answer = await cloud.client.get("/v1/captures", params=query)
        assert answer.status_code == 422, query
        assert named in answer.json()["detail"]


async def test_the_same_moment_across_devices(start: Start) -> None:
    cloud = await start()
    made = await some_pictures(cloud)
    answer = await cloud.client.get("/v1/captures/moment", params={"at": "2026-06-01T12:01:20Z", "within": 120})
    found = {one["device_id"]: one for one in answer.json()["devices"]}
    assert found["D1"]["capture"]["record_id"] == made["D1 1"]
    assert (found["D1"]["seconds"], found["D2"]["seconds"]) == (-20.0, -19.0)
    assert found["D3"] == {"device_id": "D3", "capture": None, "seconds": None}
    first = (await cloud.client.get("/v1/captures/moment", params={"at": NOON.isoformat(), "limit": 2})).json()
    assert ([one["device_id"] for one in first["devices"]], first["next_after"]) == (["D1", "D2"], "D2")
    query: dict[str, Any] = {"at": NOON.isoformat(), "limit": 2, "after": "D2", "group": "nörd"}
    rest = (await cloud.client.get("/v1/captures/moment", params=query)).json()
    assert ([one["device_id"] for one in rest["devices"]], rest["next_after"]) == (["D3"], None)
    for at in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        assert (await cloud.client.get("/v1/captures/moment", params={"at": at})).status_code == 422


def unpacked(data: bytes) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """(file -> bytes, the manifest's pictures); every sum in it is right."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    return files, json.loads(files.pop("manifest.json"))["pictures"]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_many_pictures_are_one_file_with_the_hash_of_each(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visant_cloud.routes.gallery._PAGE", 2)
    cloud = await start()
    made = await some_pictures(cloud)
    answer = await cloud.client.get("/v1/captures/archive", params={"group": "nörd", "limit": 5})
    assert answer.headers["Content-Type"] == "application/zip"
    files, listed = unpacked(answer.content)
    assert [one["record_id"] for one in listed] == [made[name] for name in ("D2 2", "D2 1", "D2 0", "D3 2", "D3 1")]
    assert list(files) == [one["file"] for one in listed]
    assert [hashlib.sha256(files[one["file"]]).hexdigest() for one in listed] == [one["sha256"] for one in listed]
    assert listed[0]["file"] == f"D2/2026-06-01/120201_{made['D2 2'][:8]}.jpg"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_selection_comes_as_it_was_made_and_says_what_is_gone(start: Start) -> None:
    cloud = await start()
    made = await some_pictures(cloud)
    chosen = [made["D3 0"], made["D1 2"], made["D3 0"]]
    row = (await cloud.client.get(f"/v1/captures/{made['D1 2']}")).json()
    name = PictureName("D1", datetime.fromisoformat(row["received_at"]), row["record_id"])
    await cloud.cloud.pictures.remove([name])
    files, listed = unpacked((await cloud.client.post("/v1/captures/archive", json={"record_ids": chosen})).content)
    assert [(one["record_id"], one["file"] is None) for one in listed] == [(made["D3 0"], False), (made["D1 2"], True)]
    assert len(files) == 1
    unknown = await cloud.client.post("/v1/captures/archive", json={"record_ids": ["f" * 32]})
    assert (unknown.status_code, "ffff" in unknown.json()["detail"]) == (404, True)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_thumbnail_has_two_sizes(start: Start) -> None:
    cloud = await start()
    await cloud.register()
    record = (await cloud.capture("D1", "t1", image=jpeg(640, 480))).json()["record_id"]
    sizes = []
    for query in ("", "?size=large", "?size=small"):
        answer = await cloud.client.get(f"/v1/captures/{record}/thumbnail{query}")
        sizes.append(Image.open(io.BytesIO(answer.content)).size)
    assert sizes == [(320, 240), (320, 240), (120, 90)]
    assert (await cloud.client.get(f"/v1/captures/{record}/thumbnail", params={"size": "huge"})).status_code == 422
