"""The cloud behind a real nginx, with the lines that people write and those that they leave out."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.redis import free_port
from visant_cloud.access import credentials
from visant_cloud.store import people

PASSWORD = "correct horse battery"
_CONFIG = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; {user}
events {{ worker_connections 200; }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {upstream}; {lines} }} }}
}}
"""
_NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")

Nginx = Callable[[str, str], str]


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """`nginx(upstream, lines)`: the URL of one that starts now."""
    if _NGINX is None:
        pytest.skip("nginx is not installed: tools/test_needs.sh installs it as root")
    started: list[subprocess.Popen[bytes]] = []

    def start(upstream: str, lines: str) -> str:
        folder, port = tmp_path / f"nginx{len(started)}", free_port()
        folder.mkdir()
        user = "user root;" if os.getuid() == 0 else ""
        config = folder / "nginx.conf"
        config.write_text(_CONFIG.format(folder=folder, port=port, upstream=upstream, lines=lines, user=user))
        with open(folder / "log", "wb") as log:
            started.append(
                subprocess.Popen([str(_NGINX), "-c", str(config), "-p", str(folder)], stdout=log, stderr=log)
            )
        return f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        process.terminate()
        process.wait(20)


async def answers(url: str) -> None:
    """Waits until the proxy does."""
    async with asyncio.timeout(30), httpx.AsyncClient() as client:
        while True:
            try:
                await client.get(f"{url}/healthz")
                return
            except httpx.TransportError:
                await asyncio.sleep(0.02)


async def with_operator(start: Any, **chosen: Any) -> Any:
    cloud = await start(auth="required", **chosen)
    async with cloud.cloud.database.writing() as connection:
        await people.set_operator(connection, "default", "Ada", credentials.hash_password(PASSWORD), cloud.time())
    return cloud


async def sign_in(url: str, origin: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        form = {"name": "Ada", "password": PASSWORD}
        return await client.post(f"{url}/sign-in", data=form, headers={"Origin": origin})


@pytest.mark.parametrize(
    ("lines", "signs_in"),
    [
        ("proxy_set_header Host $http_host;", True),
        ("proxy_set_header Host $host;", True),
        ("proxy_set_header Host $host; proxy_set_header X-Forwarded-Host $http_host;", True),
        ("proxy_set_header X-Forwarded-Host $http_host;", True),
        ("", False),  # nothing tells the cloud what the browser sees
    ],
)
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_signing_in_through_a_proxy_works_with_the_lines_that_people_write(
    start: Any, nginx: Nginx, lines: str, signs_in: bool
) -> None:
    cloud = await with_operator(start)
    url = nginx(cloud.url, lines)
    await answers(url)
    answer = await sign_in(url, url)
    if signs_in:
        assert answer.status_code == 303, answer.text
    else:
        assert answer.status_code == 403 and "PUBLIC_URL" in answer.json()["detail"]
    assert (await sign_in(url, "https://evil.example")).status_code == 403


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_proxy_that_hands_on_nothing_needs_one_setting(start: Any, nginx: Nginx) -> None:
    cloud = await with_operator(start, public_url="http://cams.example:81")
    url = nginx(cloud.url, "")
    await answers(url)
    assert (await sign_in(url, "http://cams.example:81")).status_code == 303
    assert (await sign_in(url, "http://cams.example:82")).status_code == 403
    assert (await sign_in(url, url)).status_code == 403, "the setting says what our origin is"


@pytest.mark.parametrize("allow", ["127.0.0.1", "*"])
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_who_invents_another_address_with_each_guess_is_slowed_down_all_the_same(
    start: Any, nginx: Nginx, allow: str
) -> None:
    cloud = await start(auth="required", forwarded_allow_ips=allow)
    url = nginx(cloud.url, "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;")
    await answers(url)
    transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2")  # the guesser's own address is not the proxy's
    async with httpx.AsyncClient(base_url=url, transport=transport) as client:
        codes = []
        for number in range(30):
            body = {"code": f"{number:05}-AAAAA", "device_id": "D1"}
            invented = {"X-Forwarded-For": f"203.0.113.{number}"}
            codes.append((await client.post("/v1/enrol", json=body, headers=invented)).status_code)
    assert codes.count(403) <= 12, codes
    assert set(codes) == {403, 429}
