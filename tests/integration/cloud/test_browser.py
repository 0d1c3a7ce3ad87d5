"""The pages in a real browser: press Trigger, see the picture; find one device among many; sign in."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Route, ViewportSize, async_playwright

from tests.integration.cloud.test_alert_rounds import DEAD, Fleet, numbered
from visant_cloud.access import credentials
from visant_cloud.store import channels, people

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine (Debian's package `chromium`)"),
    pytest.mark.parametrize("engine", ["sqlite"], indirect=True),
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]
PHONE: ViewportSize = {"width": 390, "height": 844}
WIDE: ViewportSize = {"width": 1280, "height": 800}

Browse = Callable[[], Awaitable[Page]]


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """A page of a phone's size. The test fails where it logs an error or asks for anything from elsewhere."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch_persistent_context(
            str(tmp_path / "profile"), executable_path=BROWSER, args=FLAGS, viewport=PHONE
        )
        browser.set_default_timeout(120_000)
        page = await browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if not _local(request.url) else None)
        yield page
        await browser.close()
    assert complaints == []


def _local(url: str) -> bool:
    return re.match(r"(http://127\.0\.0\.1:\d+/|data:)", url) is not None


@asynccontextmanager
async def device(cloud: Any, device_id: str) -> AsyncIterator[None]:
    """Answers each command with a picture."""
    async with cloud.stream(device_id) as stream:
        await stream.next()

        async def answer() -> None:
            while True:
                command = await stream.command(timeout=300)
                assert (await cloud.capture(device_id, command["trigger_id"])).status_code == 201

        answering = asyncio.create_task(answer())
        try:
            yield
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)


async def fits(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


async def test_pressing_trigger_brings_the_picture_without_a_reload(start: Any, page: Page) -> None:
    cloud = await start()
    async with device(cloud, "D1"):
        await page.goto(cloud.url)
        assert await page.inner_text(".shot") == "no picture yet"
        await page.click("[data-trigger=D1]")
        await page.wait_for_function("() => document.querySelector('.shot img')?.naturalWidth > 0")
        assert await page.evaluate("document.activeElement.dataset.trigger") == "D1", "the keyboard lost its place"
        row = await page.inner_text(".ledger tr:has(.outcome)")
        for text in ("D1", "manual", "captured", "latency ", "taken ", "received "):
            assert text in row or f'"{text}"' in await _labels(page), (text, row)
        await page.goto(f"{cloud.url}/devices/D1")
        await page.wait_for_function("() => document.querySelector('.gallery img')?.naturalWidth > 0")
        assert await fits(page)


async def _labels(page: Page) -> str:
    found: str = await page.evaluate(
        "[...document.querySelectorAll('.ledger td')].map(c => getComputedStyle(c, '::before').content).join()"
    )
    return found


async def test_one_device_is_found_among_many_and_stays_found_when_the_page_updates(start: Any, page: Page) -> None:
    cloud = await start()
    long = "WAREHOUSE-NORTH-" + "x" * 48
    for name in [*(f"STORE-{number:02d}" for number in range(12)), long]:
        assert (await cloud.client.post("/v1/devices", json={"device_id": name})).status_code == 201
    await page.goto(cloud.url)
    assert await page.locator(".card:visible").count() == 13
    assert await fits(page), "a long id pushes the page wide"
    await page.fill("#find [name=words]", "store 07")
    assert await page.inner_text(".card:visible h2") == "STORE-07"
    await cloud.trigger("STORE-03")
    await page.wait_for_selector(".ledger .outcome.pending")
    assert await page.locator(".card:visible").count() == 1
    await page.fill("#find [name=words]", "")
    await page.select_option("#find [name=kind]", "there")
    assert await page.locator(".card:visible").count() == 0
    assert await page.inner_text("#found") == "0 of 13"


async def test_a_person_signs_in_and_triggers_and_a_stranger_cannot(start: Any, page: Page) -> None:
    cloud = await start(auth="required")
    async with cloud.cloud.database.writing() as connection:
        await people.set_operator(
            connection, "default", "Ada", credentials.hash_password("correct horse battery"), cloud.time()
        )
    await page.goto(f"{cloud.url}/")
    await page.fill("[name=name]", "Ada")
    await page.fill("[name=password]", "wrong")
    await page.click("button")
    await page.wait_for_selector("[role=alert]")
    await page.fill("[name=password]", "correct horse battery")
    await page.click("button")
    await page.wait_for_selector("text=No devices yet")
    await page.click("summary")
    await page.fill("[name=device_id]", "FLOOR1")
    await page.click(".add button")
    await page.wait_for_selector(".toast:has-text('vd_')")
    await page.click("[data-trigger=FLOOR1]")
    await page.wait_for_selector(".toast:has-text('FLOOR1 is offline: the trigger waits for it')")
    assert await page.locator(".banner.alarm").count() == 0


async def test_the_fleet_page_begins_with_what_needs_a_person_who_acknowledges_it(start: Any, page: Page) -> None:
    cloud = await start(auth="required")
    async with cloud.cloud.database.writing() as connection:
        await people.set_operator(
            connection, "default", "Ada", credentials.hash_password("correct horse battery"), cloud.time()
        )
    fleet = Fleet(cloud)
    await fleet.devices("LOBBY")
    await fleet.devices(*numbered(3), site="Hall 3")
    bad = await fleet.channel("ops")
    async with cloud.cloud.database.writing() as connection:
        for _ in range(channels.DEAD):
            await channels.note_answer(connection, bad, False, "HTTP 500", cloud.time())
    await fleet.say("LOBBY", DEAD)
    await fleet.pass_(60)
    fleet.cut(*numbered(3))
    await fleet.pass_(300)
    assert len(await fleet.open()) == 5

    await page.set_viewport_size(WIDE)
    await page.goto(cloud.url)
    await page.fill("[name=name]", "Ada")
    await page.fill("[name=password]", "correct horse battery")
    await page.click("button")
    lines = page.locator(".need")
    await lines.first.wait_for()
    said = await lines.all_inner_texts()
    assert len(said) == 3, said
    for words in ("3 devices at Hall 3: silent", "LOBBY: the camera gives no pictures", "messages cannot be delivered"):
        [one] = [text for text in said if words in text]
        assert "since" in one and "Acknowledge" in one
    assert "ops: HTTP 500" in " ".join(said) and "Plug the camera in" in " ".join(said)
    assert await page.evaluate("document.querySelector('[data-part]').firstElementChild.className") == "needs"
    red = "getComputedStyle(document.querySelector('.card.dead')).backgroundColor"
    assert await page.evaluate(red) != await page.evaluate(red.replace(".card.dead", ".card.offline"))

    await lines.filter(has_text="Hall 3").locator("button").click()
    await page.wait_for_selector(".need.seen:has-text('seen by Ada')")
    listed = (await page.evaluate("fetch('/v1/alerts').then(a => a.json())"))["alerts"]
    seen = {one["subject"]: one["acknowledged_by"] for one in listed}
    assert seen == {f"/channel/{bad}": None, "LOBBY": None, "D01": "Ada", "D02": "Ada", "D03": "Ada"}
    assert len([one for one in listed if one["cleared_at"] is None]) == 5, "seen is not over"

    await page.set_viewport_size(PHONE)
    assert await fits(page)
    await page.goto(f"{cloud.url}/devices/LOBBY")
    await page.click("[data-acknowledge]")
    await page.wait_for_selector(".need.seen")
    assert await fits(page) and await page.locator("text=Plug the camera in").count() == 1


async def test_a_picture_says_how_old_it_is_and_live_says_when_it_is_not(start: Any, page: Page) -> None:
    cloud = await start()
    await cloud.register("D1")
    assert (await cloud.capture("D1", await cloud.trigger("D1"))).status_code == 201
    await page.clock.install()
    await page.goto(cloud.url)
    await page.wait_for_function("() => /^\\d+ \\w+ old$/.test(document.querySelector('.shot .age')?.textContent)")
    assert await page.inner_text("#live") == "live"
    await page.evaluate("getSelection().selectAllChildren(document.querySelector('.card h2'))")
    await page.wait_for_function("() => document.getElementById('live').className.includes('paused')")
    await page.evaluate("getSelection().removeAllRanges()")
    await page.wait_for_function("() => document.getElementById('live').textContent === 'live'")
    answers: dict[str, int] = {}

    async def broken(route: Route) -> None:
        if "status" in answers:
            await route.fulfill(status=answers["status"], body="{}")
        else:
            await route.abort()

    await page.route("**/parts/**", broken)
    changes: list[tuple[str, dict[str, int]]] = [
        ("the cloud answers 503", {"status": 503}),
        ("no connection to the cloud", {}),
    ]
    for words, change in changes:
        answers.clear()
        answers.update(change)
        await page.clock.run_for(2500)
        await page.wait_for_selector(f"#live.lost:has-text('{words}')")
    await page.unroute("**/parts/**")
    await page.clock.run_for(2500)
    await page.wait_for_function("() => document.getElementById('live').textContent === 'live'")
    await page.clock.fast_forward(3 * 3600 * 1000)
    await page.wait_for_selector(".shot .age:has-text('3 h old')")
