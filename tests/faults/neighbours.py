"""Hostile neighbours beside an honest fleet of 200 devices: who lives on the same cloud must not notice them.

The fleet is triggered throughout, in turns of a few seconds without and with each neighbour. What is judged is the
ratio of their times, each the median of three turns' p99: the machine's own moods are in both. A full disk and a
read-only database refuse what they must; there, what counts is that nothing is lost and that no stream ends.
"""

import asyncio
import json
import os
import subprocess
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import asyncpg
import httpx

from emulation.cloud_api import CloudApi
from emulation.processes import DiesWith, python_module
from tests.bench.cloud.names import API_TOKEN
from tests.bench.cloud.seed import fill_fleet
from tests.bench.cloud.usage import cpu_seconds
from tests.faults.arena import DEVICE, Arena, is_root
from tests.faults.honest_fleet import HonestFleet, RemoteHonestFleet, Round, typical
from tests.faults.hostile import HOSTILE
from tests.faults.scenario import Scenario, Skipped, add
from tests.faults.storage import fill
from visant_cloud.database.engine import Database
from visant_cloud.settings import database_url

_RATE = 15.0
"""Triggers a second, over the whole fleet; each is answered with a picture."""
_SECONDS = 4.0
_TURNS = 3
_MOST_TIMES = 3.0
"""How much longer an honest device may wait beside a neighbour."""
_AT_LEAST = 1000.0 if os.environ.get("SHORT", "") not in ("", "0") else 10.0
"""Milliseconds: below that, a ratio would be one of this machine's scheduling. In the short form, which runs wherever
CI does and must not fail by the mood of a machine, only a stall of more than three seconds counts."""
_CALM = 0.15
"""Of a core: the cloud is done with what a neighbour left behind."""
_OUTAGE_RATE = 5.0
_DISK_BYTES = 128 << 20


class Neighbours:
    """One run: `turns` are neighbours beside whom the fleet is measured, `outages` what is taken from the cloud."""

    def __init__(self, turns: tuple[str, ...], outages: tuple[str, ...]) -> None:
        self._turns = turns
        self._outages = outages
        self._fleet: RemoteHonestFleet
        self._pids: list[int] = []
        self._rounds: dict[str, list[Round]] = {name: [] for name in ("quiet", *turns, *outages)}

    async def prepare(self, arena: Arena) -> None:
        """A cloud that asks for tokens, and knows the fleet."""
        if "disk" in self._outages:
            await self._small_disk(arena)
        await arena.cloud.start()
        database = Database(database_url(arena.cloud.child.env["DATABASE_URL"]))
        await fill_fleet(database, HOSTILE + 1)
        await database.close()
        arena.retarget(arena.cloud.url, API_TOKEN)
        async with httpx.AsyncClient(base_url=arena.cloud.url, headers=_BEARER) as client:
            made = await client.post("/v1/devices", json={"device_id": DEVICE})
        arena.device.set(DEVICE_TOKEN=made.raise_for_status().json()["token"])
        self._fleet = RemoteHonestFleet(arena.cloud.url, HOSTILE, reconnect_delay=0.5)
        await asyncio.to_thread(self._fleet.__enter__)
        arena.cleanups.append(partial(asyncio.to_thread, self._fleet.__exit__, None, None, None))

    async def _small_disk(self, arena: Arena) -> None:
        if not is_root():
            raise Skipped("a small file system needs root")
        folder = arena.cloud.folder
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "visant-faults", folder], check=True)

        async def unmount() -> None:
            subprocess.run(["umount", "-l", folder], check=False)

        arena.cleanups.append(unmount)

    async def turns(self, arena: Arena) -> None:
        """The fleet alone, and beside each neighbour, by turns."""
        assert arena.workers is not None
        self._pids = arena.workers.pids()
        took = await asyncio.to_thread(self._fleet.call, HonestFleet.connect, 60.0)
        arena.logs.line("neighbours", f"the fleet is connected after {took:.1f} s")
        await self._live("quiet", 1.0, _RATE)
        self._rounds["quiet"].clear()  # the first second is the interpreter's
        for _ in range(_TURNS):
            await self._live("quiet", _SECONDS, _RATE)
            for name in self._turns:
                await self._beside(arena, name)

    async def _live(self, name: str, seconds: float, rate: float) -> None:
        self._rounds[name].append(await asyncio.to_thread(self._fleet.call, HonestFleet.live, seconds, rate))

    async def _beside(self, arena: Arena, name: str) -> None:
        words = python_module("tests.faults.hostile", name, arena.cloud.url)
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, preexec_fn=DiesWith(os.getpid())
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n", f"the {name} did not start"
        try:
            await self._live(name, _SECONDS, _RATE)
        finally:
            told = (await process.communicate(b""))[0]  # its standard input ends
        arena.logs.line(name, told.decode().strip())
        arena.struck(sum(json.loads(told).values()) > _SECONDS, f"the {name} was answered")
        await self._calm(arena)

    async def _calm(self, arena: Arena) -> None:
        """Once the cloud is done with what the neighbour left: the next turn is its own."""
        pid = arena.cloud.child.pid
        assert pid is not None
        loop = asyncio.get_running_loop()
        until = loop.time() + 30.0
        while loop.time() < until:
            before, began = cpu_seconds(pid), loop.time()
            await asyncio.sleep(0.3)
            if (cpu_seconds(pid) - before) / (loop.time() - began) < _CALM:
                return

    async def outages(self, arena: Arena) -> None:
        """What is taken from the cloud for a while, and given back; the fleet is triggered meanwhile."""
        for name in self._outages:
            take, give_back = _OUTAGES[name]
            await take(arena)
            result = self._fleet.begin(HonestFleet.live, _SECONDS, _OUTAGE_RATE)
            try:
                await asyncio.sleep(_SECONDS)
            finally:
                await give_back(arena)
            self._rounds[name].append(await asyncio.to_thread(result))

    async def judge(self, arena: Arena) -> None:
        """Raises AssertionError where the fleet noticed a neighbour, or a trigger of it is not accounted for."""
        wrong = []
        for name, rounds in self._rounds.items():
            refused = sum((one.refused for one in rounds), Counter[str]())
            arena.logs.line("neighbours", f"{name}: {rounds}")
            if name in self._outages:
                arena.note(f"{name}: {dict(refused)}")
                arena.struck(
                    any(key in refused for key in _STRUCK[name]), f"{name}: refused with one of {_STRUCK[name]}"
                )
                refused = Counter({key: n for key, n in refused.items() if key not in _MAY[name]})
            if refused:
                wrong.append(f"{name}: honest devices were refused: {dict(refused)}")
            for what in ("unheard", "undelivered", "ended"):
                if count := sum(getattr(one, what) for one in rounds):
                    wrong.append(f"{name}: {count} {what}")
        for name in self._turns:
            wrong += [line for what in ("events", "receipts") for line in self._compared(arena, name, what)]
        assert arena.workers is not None
        if arena.workers.pids() != self._pids:
            wrong.append("a worker of the cloud ended")
        wrong += await self._unaccounted(arena.target)
        assert not wrong, "; ".join(wrong)

    def _compared(self, arena: Arena, name: str, what: str) -> list[str]:
        with_, without = (typical([getattr(one, what) for one in self._rounds[each]]) for each in (name, "quiet"))
        times = with_ / max(without, _AT_LEAST)
        said = f"{name}: {what} p99 {with_:.0f} ms, {without:.0f} without"
        arena.note(said)
        return [f"{said}: {times:.1f} times"] if times > _MOST_TIMES else []

    async def _unaccounted(self, api: CloudApi) -> list[str]:
        posted = await asyncio.to_thread(self._fleet.call, HonestFleet.posted)
        stored = Counter(str(capture["trigger_id"]) for capture in await api.captures_of_all())
        lost = [one for one in posted if stored[one.trigger_id] == 0]
        doubled = [one for one in posted if stored[one.trigger_id] > 1]
        wrong = []
        if lost:
            wrong.append(f"{len(lost)} of {len(posted)} triggers without a picture, e.g. {lost[0]}")
        if doubled:
            wrong.append(f"{len(doubled)} triggers with two pictures, e.g. {doubled[0]}")
        return wrong


async def _fill_disk(arena: Arena) -> None:
    await asyncio.to_thread(fill, _ballast(arena))


async def _free_disk(arena: Arena) -> None:
    _ballast(arena).unlink()


def _ballast(arena: Arena) -> Path:
    return arena.cloud.folder / "ballast"


async def _read_only(arena: Arena, *, on: bool) -> None:
    """As a provider does it whose disk is nearly full; open connections follow with their next transaction."""
    connection = await asyncpg.connect(arena.cloud.child.env["DATABASE_URL"])
    try:
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(
            "ALTER SYSTEM SET default_transaction_read_only = on"
            if on
            else "ALTER SYSTEM RESET default_transaction_read_only"
        )
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


_Step = Callable[[Arena], Awaitable[None]]
_OUTAGES: dict[str, tuple[_Step, _Step]] = {
    "disk": (_fill_disk, _free_disk),
    "database": (partial(_read_only, on=True), partial(_read_only, on=False)),
}
_STRUCK = {"disk": ("picture 507", "picture 503"), "database": ("trigger 503", "trigger 507")}
_MAY = {
    "disk": ("picture 507", "picture 503"),
    "database": ("trigger 503", "trigger 507", "picture 503", "picture 507"),
}
"""A database on a disk of its own goes on while the pictures' is full: triggers are accepted and told as ever."""
_BEARER = {"Authorization": f"Bearer {API_TOKEN}"}
_RUNS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "neighbours": (("stranger", "device"), ("disk", "database"), "all that follows"),
    "neighbours_stranger": (("stranger",), (), "half-open requests, slow and large bodies, guesses"),
    "neighbours_device": (("device",), (), "crafted pictures, streams, invented outcomes, reports without end"),
    "neighbours_disk": ((), ("disk",), "the disk of the cloud's pictures is filled to the last byte"),
    "neighbours_database": ((), ("database",), "PostgreSQL turns read-only"),
}
for _name, (_turns, _outages, _about) in _RUNS.items():
    _one = Neighbours(_turns, _outages)
    add(
        Scenario(
            _name,
            _one.turns,
            f"{HOSTILE} honest devices beside: {_about}",
            cloud={"AUTH": "required"},
            prepare=_one.prepare,
            after=_one.outages,
            check=_one.judge,
            workers=True,
            proxied=False,
            short=_name == "neighbours",
            begins=1.0,
            triggers=20,
            weight=6,
        )
    )
