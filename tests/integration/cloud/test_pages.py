"""The pages: what a person sees, and how they keep themselves current."""

import itertools
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, update

from tests.support.many_devices import create_many
from visant_cloud.store import counters, device_states, devices, fleet, tables
from visant_cloud.store.scope import Scope
from visant_cloud.views import as_json, pages


async def registered(start: Any, device_id: str = "D1", **chosen: Any) -> Any:
    cloud = await start(**chosen)
    await cloud.register(device_id)
    return cloud


async def test_an_empty_cloud_says_what_to_do_next(start: Any) -> None:
    cloud = await start()
    page = (await cloud.client.get("/")).text
    assert "No devices yet" in page and "visant-cloud create-device" in page and "OPEN" in page


async def test_a_cloud_without_operators_says_how_to_make_one(start: Any) -> None:
    cloud = await start(auth="required")
    page = (await cloud.client.get("/sign-in")).text
    assert "visant-cloud create-operator" in page and "OPEN" not in page


async def test_a_warning_is_for_operators_not_for_strangers(start: Any) -> None:
    cloud = await start()
    cloud.cloud.warning = "pictures lie outside a volume"
    assert cloud.cloud.warning in (await cloud.client.get("/")).text
    cloud = await start(auth="required")
    cloud.cloud.warning = "pictures lie outside a volume"
    assert cloud.cloud.warning not in (await cloud.client.get("/sign-in")).text


async def test_two_devices_of_one_id_are_a_trouble(start: Any) -> None:
    cloud = await start()
    async with cloud.stream("FINE") as fine, cloud.stream("TWICE") as one, cloud.stream("TWICE") as two:
        for stream in (fine, one, two):
            await stream.next()
        page = (await cloud.client.get("/")).text
        assert page.index("/devices/TWICE") < page.index("/devices/FINE") and "2 streams" in page


async def test_trouble_comes_first(start: Any, eventually: Any) -> None:
    cloud = await registered(start, "A-OFFLINE")
    await cloud.client.post("/v1/devices", json={"device_id": "NEVER"})
    async with cloud.stream("B-FINE") as one, cloud.stream("C-SICK") as two:
        await one.next()
        await two.next()
        sick = {"device_version": "2", "state": "degraded", "reasons": ["camera: camera_absent"]}
        await cloud.client.post("/v1/devices/C-SICK/telemetry", json=sick)
        page = (await cloud.client.get("/")).text
        places = [page.index(f"/devices/{name}") for name in ("C-SICK", "A-OFFLINE", "B-FINE", "NEVER")]
        assert places == sorted(places)
        assert "camera: camera_absent" in page and 'class="card dead"' not in page
        for state, name in (("degraded", "C-SICK"), ("offline", "A-OFFLINE"), ("connected", "B-FINE")):
            found = (await cloud.client.get("/v1/devices", params={"state": state})).json()["devices"]
            assert [one["device_id"] for one in found] == [name]
        metrics = (await cloud.client.get("/metrics")).text
        assert 'visant_streams{worker="1"} 2.0' in metrics
    assert (await cloud.client.get("/v1/devices?state=odd")).status_code == 422


async def test_a_dead_camera_is_red_and_says_why_since_when_and_what_to_do(start: Any) -> None:
    cloud = await registered(start)
    dead = {"state": "camera_absent", "detail": "nothing at /dev/video0", "state_age": 41.5}
    async with cloud.stream("D1") as stream:
        await stream.next()
        told = {"device_version": "2", "state": "degraded", "reasons": ["camera: camera_absent"], "camera": dead}
        assert (await cloud.client.post("/v1/devices/D1/telemetry", json=told)).status_code == 204
        told_at = datetime.fromisoformat((await cloud.client.get("/v1/devices/D1")).json()["telemetry_at"])
        since = (told_at - timedelta(seconds=41.5)).isoformat(timespec="milliseconds")
        for path, red in (("/", '<li class="card dead"'), ("/devices/D1", '<span class="state dead">')):
            page = (await cloud.client.get(path)).text
            assert red in page, path
            assert "<b>the camera gives no pictures</b>: camera_absent: nothing at /dev/video0" in page
            assert "Plug the camera in" in page
            assert f'since <time datetime="{since}"' in page
        told = {"device_version": "2", "camera": {"state": "ok"}}
        assert (await cloud.client.post("/v1/devices/D1/telemetry", json=told)).status_code == 204
        assert "card dead" not in (await cloud.client.get("/")).text


async def test_the_changing_part_is_sent_again_only_when_it_changed(start: Any, eventually: Any) -> None:
    cloud = await registered(start)
    for path in ("/parts/fleet", "/parts/devices/D1"):
        tag: dict[str, str] = {}

        async def unchanged(path: str = path, tag: dict[str, str] = tag) -> bool:
            answer = await cloud.client.get(path, headers=tag)
            tag["If-None-Match"] = answer.headers["etag"]
            return bool(answer.status_code == 304)

        await eventually(unchanged)  # the stream that registered the device may still be closing
        await cloud.trigger("D1")
        assert (await cloud.client.get(path, headers=tag)).status_code == 200


async def test_a_page_loads_nothing_from_elsewhere(start: Any) -> None:
    cloud = await registered(start)
    await cloud.capture("D1", "t")
    for path in ("/", "/devices/D1", "/docs", "/static/style.css", "/static/page.js"):
        answer = await cloud.client.get(path)
        assert answer.status_code == 200
        assert "http://" not in answer.text and "https://" not in answer.text, path
    policy = (await cloud.client.get("/")).headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy


async def test_an_unknown_device_has_a_page_that_says_so(start: Any) -> None:
    cloud = await start()
    answer = await cloud.client.get("/devices/NOPE")
    assert answer.status_code == 404 and "unknown" in answer.text and "<html" in answer.text


async def test_telemetry_with_every_part_is_shown(start: Any) -> None:
    cloud = await registered(start)
    report = {
        "device_version": "2.1.0-beta.7",
        "uptime": 7200.0,
        "camera": {"state": "ok", "width": 1920, "height": 1080, "fps": 30.0},
        "spool": {"pictures": 12, "reports": 1, "bytes": 4_200_000, "limit_bytes": 2_000_000_000, "days_left": 4.25},
        "clock": {"wall": "2026-11-22T14:06:00Z", "synchronised": False, "cloud_offset": -3.0},
        "disk_free_bytes": 21_000_000_000,
        "temperature": 61.2,
        "versions": {"camera": "2.0.1"},
        "update": {"result": "rolled_back", "release": "2.1.0"},
    }
    assert (await cloud.client.post("/v1/devices/D1/telemetry", json=report)).status_code == 204
    page = (await cloud.client.get("/devices/D1")).text
    for text in (
        "1920×1080",
        "12 pictures",
        "4.2 MB",
        "4.2 days",
        "not synchronised",
        "21 GB",
        "61 °C",
        "rolled_back",
        "2.1.0-beta.7",
    ):
        assert text in page, text


async def test_the_first_page_shows_the_newest_triggers_of_all_devices_with_outcome_and_reason(start: Any) -> None:
    cloud = await registered(start, "A")
    await cloud.register("B")
    first, second = await cloud.trigger("A"), await cloud.trigger("B")
    said = {"status": "failed", "reason": "spool_full", "detail": "no room"}
    address = f"/v1/devices/B/triggers/{second}/outcome"
    assert (await cloud.client.post(address, json=said)).status_code < 300
    page = (await cloud.client.get("/")).text
    assert page.index(second) < page.index(first)
    assert "spool_full" in page and "no room" in page


async def test_a_monitor_that_asks_with_head_hears_what_get_would_answer_and_opens_no_stream(start: Any) -> None:
    cloud = await start()
    await cloud.client.post("/v1/devices", json={"device_id": "FLOOR1"})
    paths = (await cloud.client.get("/openapi.json")).json()["paths"]
    endless = "/v1/events"
    described = [path for path, by in paths.items() if "get" in by and "{" not in path and path != endless]
    assert {"/healthz", "/v1/devices"} <= set(described)
    pages = ("/", "/docs", "/sign-in", "/devices/FLOOR1", "/static/style.css", "/nowhere")
    for path in (*described, *pages, "/v1/devices/FLOOR1"):
        asked, told = await cloud.client.head(path), await cloud.client.get(path)
        assert (asked.status_code, asked.content) == (told.status_code, b""), path
        assert asked.headers.get("content-type") == told.headers.get("content-type"), path
    assert (await cloud.client.head("/v1/devices/FLOOR1/commands")).status_code == 405
    assert (await cloud.client.head(endless)).status_code == 405
    assert (await cloud.client.get("/v1/devices/connected")).json()["count"] == 0


async def test_the_database_judges_and_sorts_devices_as_the_pages_do(start: Any) -> None:
    """Each kind of device once: barred or not, seen or not, degraded or not, with no, one or two streams, and all, most
    or few of its triggers captured."""
    cloud = await start()
    now, mine = cloud.time(), "default"
    streams: dict[str, int] = {}
    both, figures = (True, False), ((10, 0), (9, 1), (8, 2), (0, 0), (0, 3))
    kinds = itertools.product(both, both, both, (0, 1, 2), figures)
    async with cloud.cloud.database.writing() as connection:
        for number, (active, seen, degraded, count, (executed, failed)) in enumerate(kinds):
            key = f"D{number:03}"
            await devices.create(connection, key, now)
            await devices.change(connection, key, active=active)
            if degraded:
                await device_states.note_telemetry(connection, key, {"state": "degraded"}, now)
            last = {"last_seen_at": now if seen else None}
            await connection.execute(update(tables.device_states).where(tables.device_states.c.device_key == key), last)
            days = {"organisation_id": mine, "day": now.date(), "device_key": key}
            await connection.execute(insert(tables.device_days), {**days, "executed": executed, "failed": failed})
            if count:
                streams[key] = count
    day = counters.yesterday(now)
    shown: dict[str, counters.Figures] = {}
    async with cloud.cloud.database.reading() as connection:
        for page in (1, 2):
            sums, found = await fleet.page(connection, Scope(mine), day, streams, fleet.Wish(page))
            shown |= found
        all_of = [one async for one in fleet.devices_with_states(connection, Scope(mine))]
        views = {
            row.device_key: pages.DeviceView(row, last, streams.get(row.device_key, 0), shown[row.device_key], 0)
            for row, last in all_of
        }
        assert list(shown) == sorted(
            views, key=lambda key: (not views[key].troubled, fleet.ORDER.index(views[key].state), key)
        )
        states = Counter(view.state for view in views.values())
        assert set(states) == set(as_json.STATES)
        troubled = sum(view.troubled for view in views.values())
        received = sum(view.figures.captures for view in views.values())
        assert sums == fleet.Sums(len(views), len(streams), troubled, received, len(views))
        kinds_of = {"troubled": troubled, "there": len(streams), **states}
        for kind, count in kinds_of.items():
            some, found = await fleet.page(connection, Scope(mine), day, streams, fleet.Wish(kind=kind))
            assert some == replace(sums, matching=count) and len(found) == min(count, fleet.PAGE), kind
        some, found = await fleet.page(connection, Scope(mine), day, streams, fleet.Wish(words="d 01"))
        assert some.matching == len(found) == len([key for key in views if "01" in key])


async def test_a_large_fleet_is_shown_a_hundred_at_a_time_and_found_by_words_in_the_address(start: Any) -> None:
    cloud = await start()
    async with cloud.cloud.database.writing() as connection:
        await create_many(connection, (f"STORE-{number:03}" for number in range(250)), cloud.time())
    first = (await cloud.client.get("/")).text
    assert first.count('class="card ') == 100 and "page 1 of 3" in first and 'data-part="/parts/fleet"' in first
    last = (await cloud.client.get("/?page=3")).text
    assert last.count('class="card ') == 50 and "/devices/STORE-249" in last and "/parts/fleet?page=3" in last
    assert (await cloud.client.get("/parts/fleet?page=3")).text.count('class="card ') == 50
    assert (await cloud.client.get("/?page=9")).text.count('class="card ') == 100, "past the end is the first page"
    found = (await cloud.client.get("/", params={"words": "store 249", "kind": "never_seen"})).text
    assert found.count('class="card ') == 1 and "1 of 1 that match" in found
    assert "STORE" not in (await cloud.client.get("/parts/fleet", params={"words": "%"})).text


async def test_the_pages_say_which_days_their_figures_are_of(start: Any) -> None:
    cloud = await registered(start)
    assert (await cloud.capture("D1", await cloud.trigger("D1"))).status_code == 201
    for path in ("/", "/devices/D1"):
        page = (await cloud.client.get(path)).text
        assert "since yesterday" in page and "00:00 UTC" in page and 'class="executed"' in page
    cloud.time.pass_(2 * 86400)
    page = (await cloud.client.get("/")).text
    assert "<b>0</b> pictures" in " ".join(page.split()) and 'class="executed"' in page, "the strip stays"
    metrics = (await cloud.client.get("/metrics")).text
    assert 'visant_triggers{reason="",status="executed"} 1.0' in metrics
