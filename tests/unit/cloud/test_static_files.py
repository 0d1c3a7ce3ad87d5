"""Files of pages: named by content, kept for ever under that name, compressed for who takes it, and light."""

import asyncio
import gzip
import json
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.routing import Mount

from visant_cloud.compression import takes_gzip
from visant_cloud.static_files import FOLDER, StaticFiles


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "page.js").write_text("say('hello');\n" * 100)
    (tmp_path / "vendor/plot.css").write_text("a{}")
    (tmp_path / "vendor/.from").write_text("secret")
    return tmp_path


def ask(folder: Path, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=[Mount("/static", StaticFiles(folder))]))
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
            return await client.request(method, path, headers={"Accept-Encoding": "identity", **headers})

    return asyncio.run(asked())


def test_an_address_changes_with_the_content_and_is_kept_for_ever(folder: Path) -> None:
    before = StaticFiles(folder).address("page.js")
    answer = ask(folder, before)
    assert answer.text.startswith("say(")
    assert "immutable" in answer.headers["Cache-Control"]
    (folder / "page.js").write_text("say('bye')")
    assert StaticFiles(folder).address("page.js") != before
    assert "immutable" not in ask(folder, before).headers["Cache-Control"], "of another release"


def test_what_is_kept_is_not_sent_again(folder: Path) -> None:
    tag = ask(folder, "/static/vendor/plot.css").headers["ETag"]
    again = ask(folder, "/static/vendor/plot.css", **{"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_a_file_is_compressed_for_whom_takes_it_and_where_it_is_smaller(folder: Path) -> None:
    taker = {"Accept-Encoding": "gzip, br"}
    compressed, plain = ask(folder, "/static/page.js", **taker), ask(folder, "/static/page.js")
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert compressed.text == plain.text
    assert int(compressed.headers["Content-Length"]) < len(compressed.text)
    assert "Content-Encoding" not in plain.headers
    assert "Content-Encoding" not in ask(folder, "/static/vendor/plot.css", **taker).headers


@pytest.mark.parametrize(
    "path", ["nowhere.js", "../page.js", "%2e%2e/page.js", "vendor/.from", "vendor", "", "page.js/"]
)
def test_only_the_files_that_were_there_are_served(folder: Path, path: str) -> None:
    assert ask(folder, f"/static/{path}").status_code == 404


def test_a_range_is_answered_whole_and_another_method_refused(folder: Path) -> None:
    assert ask(folder, "/static/vendor/plot.css", Range="bytes=9-").status_code == 200
    assert ask(folder, "/static/page.js", "POST").status_code == 405


@pytest.mark.parametrize(
    ("asked", "takes"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, *", False),
        ("br", False),
        ("", False),
    ],
)
def test_gzip_goes_to_whom_asks_for_it(asked: str, takes: bool) -> None:
    assert takes_gzip(Headers({"accept-encoding": asked})) is takes


def test_all_that_a_page_can_ask_for_is_light_and_comes_with_its_licence() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    vendor = {path.name for path in (FOLDER / "vendor").iterdir()}
    assert {"htmx.org.LICENSE", "uplot.LICENSE"} <= vendor
    sizes = [path.read_bytes() for path in files if path.suffix in (".js", ".css", ".svg")]
    assert sum(map(len, sizes)) < 250_000
    assert sum(len(gzip.compress(one)) for one in sizes) < 60_000


def test_the_lock_of_the_pages_packages_names_hashes_and_no_host() -> None:
    lock = json.loads((Path(__file__).parents[3] / "cloud/web/package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert packages
    assert all(one["integrity"].startswith("sha512-") and "resolved" not in one for one in packages.values())
