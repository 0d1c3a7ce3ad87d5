"""Hostile neighbours of an honest fleet, as a process: `python -m tests.faults.hostile stranger|device URL`.

They do what costs a cloud most for what it costs them, without a pause but the answer, until standard input ends. Then
one line of JSON: what they did, and how it was answered. Every attack is bounded, so that what is measured is the cloud
and not who of them gets this machine's processor; as they would be elsewhere, they are nice.
"""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache
from urllib.parse import urlsplit

from tests.bench.cloud.names import device_id, device_token
from tests.support.hostile_jpegs import baseline, progressive

HOSTILE = 200
"""The number of the device whose token was stolen: the first that is not of the honest fleet."""
_ADDRESSES = [f"127.0.1.{number}" for number in range(1, 9)]
"""Where strangers come from."""
_PAUSE = 0.02
"""Seconds between an answer and the next request of one attacker."""
_DRIP = 1.0
"""Seconds between two bytes of who only wants to be waited for."""


class Attacker:
    """One connection after the other from one address; what comes back is counted."""

    def __init__(self, url: str, counts: "Counter[str]", rng: random.Random) -> None:
        where = urlsplit(url)
        self._at = where.hostname or "", where.port or 80
        self.counts = counts
        self.rng = rng

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection. Raises OSError."""
        return await asyncio.open_connection(*self._at, local_addr=(self.rng.choice(_ADDRESSES), 0))

    async def ask(self, what: str, head: list[str], body: bytes = b"", *, declared: int | None = None) -> None:
        """One request on a connection of its own; its status is counted under `what`."""
        reader, writer = await self.connect()
        try:
            length = len(body) if declared is None else declared
            lines = [head[0] + " HTTP/1.1", "Host: cloud", *head[1:], f"Content-Length: {length}", "", ""]
            writer.write("\r\n".join(lines).encode())
            with suppress(OSError):  # answered and closed before all of it was taken: then the answer is read
                writer.write(body)
                await writer.drain()
            async with asyncio.timeout(30):
                line = await reader.readline()
            self.counts[f"{what} {line[9:12].decode() or 'closed'}"] += 1
        except TimeoutError:
            self.counts[f"{what} unanswered"] += 1
        finally:
            writer.transport.abort()

    async def drip(self, what: str, head: bytes, drop: bytes) -> None:
        """A request that is never whole: a byte now and then until the cloud has enough of it."""
        reader, writer = await self.connect()
        try:
            writer.write(head)
            while True:
                try:
                    async with asyncio.timeout(_DRIP):
                        line = await reader.readline()
                except TimeoutError:
                    writer.write(drop)
                    await writer.drain()
                    continue
                self.counts[f"{what} {line[9:12].decode() or 'closed'}"] += 1
                return
        finally:
            writer.transport.abort()


Attack = Callable[[Attacker], Awaitable[None]]
_FORM = "Content-Type: application/x-www-form-urlencoded"
_JSON = "Content-Type: application/json"


async def _half_a_head(one: Attacker) -> None:
    await one.drip("half a head", b"GET /v1/devices/bench-00001/commands HTTP/1.1\r\nHost: cloud\r\nX-A: ", b"a")


async def _slow_body(one: Attacker) -> None:
    lines = ("POST /v1/captures HTTP/1.1", "Host: cloud", _JSON, f"Content-Length: {16 << 20}", "", "")
    await one.drip("slow body", "\r\n".join(lines).encode(), b" ")


async def _large_body(one: Attacker) -> None:
    path = one.rng.choice(("captures", "enrol", "devices", "devices/bench-00001/telemetry"))
    size = (12 << 20) if path == "captures" else (250 << 10)
    await one.ask("large body", [f"POST /v1/{path}", _JSON, "Authorization: Bearer vd_wrong"], b"[" * size)


async def _sign_in(one: Attacker) -> None:
    body = f"name=n{one.rng.getrandbits(40):x}&password={one.rng.getrandbits(60):x}".encode()
    await one.ask("sign-in", ["POST /sign-in", _FORM], body)


async def _enrol(one: Attacker) -> None:
    await one.ask("enrol", ["POST /v1/enrol", _JSON], json.dumps({"code": f"{one.rng.getrandbits(50):x}"}).encode())


async def _wrong_token(one: Attacker) -> None:
    number = one.rng.randrange(HOSTILE)
    path = one.rng.choice((f"devices/{device_id(number)}/commands", "devices", "captures?limit=1000"))
    await one.ask("wrong token", [f"GET /v1/{path}", f"Authorization: Bearer vd_{one.rng.getrandbits(80):x}"])


STRANGER: dict[Attack, int] = {
    _half_a_head: 100,
    _slow_body: 50,
    _large_body: 4,
    _sign_in: 4,
    _enrol: 2,
    _wrong_token: 4,
}
"""What strangers do, and how many of them at once."""


@lru_cache
def crafted() -> tuple[tuple[str, bytes], ...]:
    """(what it is, the JPEG): what costs a decoder most for its bytes, what is broken, and one that is neither."""
    return (
        ("many pixels", progressive(13_000, 13_000)),
        ("many scans", progressive(4_000, 4_000, scans=8_000)),
        ("cut off", baseline(640, 480)[:-500] + b"\xff\xd9"),
        ("no picture", b"\xff\xd8\xff" + bytes(200_000)),
        ("honest picture", baseline(640, 480)),
    )


_MINE = f"Authorization: Bearer {device_token(HOSTILE)}"
_PATH = f"/v1/devices/{device_id(HOSTILE)}"


async def _picture(one: Attacker) -> None:
    name, jpeg = one.rng.choice(crafted())
    told = {
        "device_id": device_id(HOSTILE),
        "trigger_id": f"crafted_{one.rng.getrandbits(60):x}",
        "captured_at": "2026-11-30T00:00:00Z",
    }
    head = ["POST /v1/captures", _MINE, "Content-Type: image/jpeg", f"Visant-Capture: {json.dumps(told)}"]
    await one.ask(name, head, jpeg)


async def _stream(one: Attacker) -> None:
    await one.ask("stream", [f"GET {_PATH}/commands?ping_every=5", _MINE])


async def _outcome(one: Attacker) -> None:
    told = {"status": "failed", "reason": "camera_absent", "detail": "x" * 2000, "metadata": {"x": "y" * 50_000}}
    path = f"{_PATH}/triggers/invented_{one.rng.getrandbits(60):x}/outcome"
    await one.ask("outcome", [f"POST {path}", _MINE, _JSON], json.dumps(told).encode())


async def _telemetry(one: Attacker) -> None:
    told = {"device_version": "2.0.0", "update": {f"{n}": "x" * 100 for n in range(1500)}}
    await one.ask("telemetry", [f"POST {_PATH}/telemetry", _MINE, _JSON], json.dumps(told).encode())


DEVICE: dict[Attack, int] = {_picture: 6, _stream: 20, _outcome: 4, _telemetry: 2}
"""What one device with a stolen token does."""


async def _repeated(attack: Attack, one: Attacker) -> None:
    while True:
        try:
            await attack(one)
        except OSError as error:
            one.counts[f"{attack.__name__[1:]} {type(error).__name__}"] += 1
        await asyncio.sleep(_PAUSE)


async def run(attacks: dict[Attack, int], url: str, seed: int) -> "Counter[str]":
    """Until standard input ends."""
    counts: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    tasks = [
        loop.create_task(_repeated(attack, Attacker(url, counts, random.Random(f"{seed} {attack.__name__} {number}"))))
        for attack, many in attacks.items()
        for number in range(many)
    ]
    await asyncio.to_thread(sys.stdin.buffer.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return counts


def main() -> None:
    """`stranger|device URL`."""
    kind, url = sys.argv[1:]
    os.nice(5)
    if kind == "device":
        crafted()  # made before the attack
    print("ready", flush=True)
    print(json.dumps(asyncio.run(run({"stranger": STRANGER, "device": DEVICE}[kind], url, 1))), flush=True)


if __name__ == "__main__":
    main()
