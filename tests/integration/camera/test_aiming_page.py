"""The aiming page in a real browser."""

import io
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from playwright.async_api import Page, async_playwright

from tests.integration.camera.conftest import Service, Start, Until
from tests.support.not_none import not_none

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine (Debian's package `chromium`)")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@pytest.fixture
async def phone(tmp_path: Path) -> AsyncIterator[Page]:
    """A page of a phone's size. The test fails where the page logs an error or asks for anything from elsewhere."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch_persistent_context(
            str(tmp_path / "profile"), executable_path=BROWSER, args=FLAGS, viewport={"width": 390, "height": 844}
        )
        browser.set_default_timeout(120_000)
        page = await browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if not _local(request.url) else None)
        yield page
        await browser.close()
    assert complaints == []


def _local(url: str) -> bool:
    return re.match(r"(http://127\.0\.0\.1:\d+/|data:|blob:)", url) is not None


async def test_the_picture_moves_and_fits_a_phone(start: Start, phone: Page) -> None:
    service = start(CAMERA_SOURCE="fake")
    service.until("ok")
    await phone.goto(service.url)
    await phone.wait_for_function("document.getElementById('sharp').textContent !== '–'")
    await phone.wait_for_function("document.getElementById('state').textContent === 'ok'")
    first = await _pixels(phone)
    await phone.wait_for_function("before => document.getElementById('picture').toDataURL() !== before", arg=first)
    assert await phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert "1280 × 720" in await phone.inner_text("#size")


async def _pixels(page: Page) -> str:
    found: str = await page.evaluate("document.getElementById('picture').toDataURL()")
    return found


async def test_the_sharpness_is_the_variance_of_the_laplacian_and_falls_when_blurred(
    start: Start, phone: Page, tmp_path: Path
) -> None:
    path = tmp_path / "shelf.jpg"
    sharp = Image.new("RGB", (800, 600), "white")
    drawing = ImageDraw.Draw(sharp)
    for place in range(0, 800, 20):
        drawing.line((place, 0, 800 - place, 600), fill="black", width=3)
    figures = {}
    service = None
    for name, picture in (("sharp", sharp), ("blurred", sharp.filter(ImageFilter.GaussianBlur(3)))):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=95)
        (tmp_path / "new.jpg").write_bytes(file.getvalue())
        os.replace(tmp_path / "new.jpg", path)
        service = service or start(CAMERA_SOURCE=str(path))
        service.until("ok")
        await phone.goto(service.url)
        await phone.wait_for_function("document.getElementById('sharp').textContent !== '–'")
        figures[name] = float(await phone.inner_text("#sharp"))
        decoded = not_none(cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), 1))
        grey = cv2.cvtColor(decoded, cv2.COLOR_BGR2GRAY)
        middle = grey[(600 - 480) // 2 : (600 + 480) // 2, (800 - 640) // 2 : (800 + 640) // 2]
        expected = cv2.Laplacian(middle, cv2.CV_64F)[1:-1, 1:-1].var()
        assert figures[name] == pytest.approx(expected, rel=0.05)
    assert figures["blurred"] < figures["sharp"] / 5


async def test_a_slider_sets_the_control_once_it_rests(start: Start, phone: Page, until: Until) -> None:
    service = start(CAMERA_SOURCE="fake")
    service.until("ok")
    sent: list[str] = []
    phone.on("request", lambda request: sent.append(request.post_data or "") if request.method == "PATCH" else None)
    await phone.goto(service.url)
    slider = phone.locator("#c-brightness")
    # In one go: keys of a browser on a busy machine come further apart than the slider waits.
    async with phone.expect_request(lambda request: request.method == "PATCH"):
        await slider.evaluate(
            "one => { for (let i = 0; i < 5; i++) { one.stepUp(); one.dispatchEvent(new Event('input')); } }"
        )
    until(lambda: _control(service, "brightness") == 5)
    assert sent == ['{"brightness":5}'], "each step was sent by itself"
    await phone.select_option("#c-auto_exposure", "1")
    until(lambda: _control(service, "auto_exposure") == 1)


def _control(service: Service, name: str) -> int:
    found = {one["name"]: one["value"] for one in service.http.get("/controls").json()["controls"]}
    return int(found[name])


async def test_the_preview_comes_back_when_the_service_was_restarted(start: Start, phone: Page, tmp_path: Path) -> None:
    service = start(tmp_path / "same", CAMERA_SOURCE="fake")
    service.until("ok")
    await phone.goto(service.url)
    await phone.wait_for_function("document.getElementById('veil').hidden")
    service.stop()
    await phone.wait_for_function("document.getElementById('state').textContent === 'service away'")
    start(tmp_path / "same", CAMERA_SOURCE="fake", HTTP_PORT=service.env["HTTP_PORT"])
    await phone.wait_for_function("document.getElementById('veil').hidden")


async def test_an_absent_camera_is_said_and_its_return_seen(start: Start, phone: Page) -> None:
    service = start(CAMERA_SOURCE="fake")
    service.until("ok")
    await phone.goto(service.url)
    await phone.wait_for_function("document.getElementById('veil').hidden")
    service.http.post("/fake/faults", json={"fault": "absent"})
    await phone.wait_for_function("document.getElementById('state').textContent === 'camera absent'")
    assert "unplugged" in await phone.inner_text("#why")
    service.http.post("/fake/faults", json={"fault": "none"})
    await phone.wait_for_function("document.getElementById('veil').hidden")
