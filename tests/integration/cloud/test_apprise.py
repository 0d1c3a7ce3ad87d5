"""Channels through Apprise: what arrives, what must not be asked, and what is never shown."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from visant_cloud.channels import apprise
from visant_cloud.channels.apprise import AppriseSender
from visant_cloud.channels.apprise_sender import Guard
from visant_cloud.channels.outbox import Outbox

SECRET = "Ab3dEf6hIj9lMn0"


class Peer:
    """A Gotify server, as far as Apprise asks one."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        self.heads: list[bytes] = []
        self.bodies: list[dict[str, Any]] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"gotify://127.0.0.1:{self.port}/{SECRET}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if length:
            self.bodies.append(json.loads(await reader.readexactly(length)))
        writer.write(self.answer)
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Peer"]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_message_arrives_and_its_url_is_shown_nowhere(start: Any, capfd: pytest.CaptureFixture[str]) -> None:
    async with Peer().serving() as peer:
        cloud = await start(alert_allow_private=True)
        body = {"type": "apprise", "name": "phones", "target": peer.url}
        made = await cloud.client.post("/v1/channels", json=body, timeout=120)
        assert made.status_code == 201 and made.json()["target"] == "gotify://..." and made.json()["secret"] is None
        path = f"/v1/channels/{made.json()['channel_id']}"
        said = [made.text]
        for answer in (peer.answer, b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"):
            peer.answer = answer
            assert (await cloud.client.post(f"{path}/test")).status_code == 202
            assert await Outbox(cloud.cloud).send_due() == 1
        [refused, taken] = (await cloud.client.get(f"{path}/deliveries")).json()["deliveries"]
        assert (taken["status"], taken["answer"]) == ("delivered", "taken")
        assert (refused["status"], refused["answer"]) == ("waiting", "not taken: HTTP 403")
        assert peer.bodies[0]["title"] == "Test: phones" and "This is a test" in peer.bodies[0]["message"]
        wrong = await cloud.client.patch(path, json={"target": peer.url + "?verify=no"})
        assert wrong.status_code == 422 and "verify" in wrong.json()["detail"]
        for answered in (wrong, await cloud.client.get("/v1/channels"), await cloud.client.get(f"{path}/deliveries")):
            said.append(answered.text)
        logged = capfd.readouterr()
        assert SECRET not in "".join([*said, logged.out, logged.err])


async def test_no_redirect_is_followed_and_nothing_goes_into_the_own_network() -> None:
    sender = AppriseSender()
    async with Peer().serving() as peer, Peer().serving() as inner:
        there = f"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:{inner.port}/\r\nContent-Length: 0\r\n\r\n"
        peer.answer = there.encode()
        found = await sender.send(peer.url, "t", "b", allow_private=True)
        assert not found.taken and len(peer.heads) == 1 and inner.heads == []
        for host in ("127.0.0.1", "localhost"):
            url = f"gotify://{host}:{inner.port}/{SECRET}"
            found = await sender.send(url, "t", "b", allow_private=False)
            assert not found.taken and "this machine itself" in found.text and SECRET not in found.text
        assert inner.heads == []


async def test_a_service_that_hangs_is_left_in_time() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        url = f"gotify://127.0.0.1:{server.sockets[0].getsockname()[1]}/{SECRET}"
        found = await AppriseSender().send(url, "t", "b", allow_private=True, timeout=0.5)
        assert found.text == "no answer within 0.5 s"


@pytest.mark.parametrize(
    ("address", "goes"),
    [
        (("93.184.215.14", 443), True),
        (("2606:2800:21f:cb07::1", 443, 0, 0), True),
        (("127.0.0.1", 80), False),
        (("10.0.0.1", 80), False),
        (("169.254.169.254", 80), False),
        (("::ffff:127.0.0.1", 80, 0, 0), False),
        (("fe80::1%eth0", 80, 0, 2), False),
        (("localhost", 80), False),
        ("/run/docker.sock", False),
    ],
)
def test_each_connect_is_judged_by_the_address_that_it_goes_to(address: Any, goes: bool) -> None:
    guard = Guard(allow_private=False)
    if goes:
        guard.hear("socket.connect", (None, address))
        return
    for event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        with pytest.raises(OSError):
            guard.hear(event, (None, address))
    with pytest.raises(OSError):
        Guard(allow_private=True).hear("subprocess.Popen", ("sh", [], None, None))


def test_only_listed_services_and_nothing_that_weakens_them() -> None:
    assert apprise.shown("tgram://123:abc/456?format=text") == "tgram://..."
    wrong = ["json://h/", "mailto://h", "syslog://", "dbus://", "file:///etc", "slack", "slack://a b"]
    for one in [*wrong, "SLACK://x?Verify=no", "ntfy://h/t?redirect=yes"]:
        with pytest.raises(ValueError):
            apprise.shown(one)
