"""Processes that die: kill -9 of each, at once restarted or after ten seconds; all together; 200 at random; SIGTERM."""

import asyncio
import random
import re
from collections import Counter
from functools import partial
from pathlib import Path

from emulation.stack import http_status
from tests.faults.arena import Arena
from tests.faults.scenario import Scenario, add

SERVICES = ("connector", "uploader", "camera", "redis", "cloud")
_ROOT = Path(__file__).resolve().parents[2]
_KILL_SEED = 20_26

REASONS_OF_A_DEAD_CAMERA = {"camera_unreachable": "the camera service was away longer than CAPTURE_PATIENCE (15 s)"}


async def _kill(arena: Arena, *, service: str, down: float) -> None:
    child = arena.children[service]
    before = child.starts
    await child.kill(down=down)
    await asyncio.sleep(down)
    while child.starts == before:
        await asyncio.sleep(0.02)
    if service == "cloud":  # recovery counts from when the cloud is back
        await arena.cloud.healthy()


for _service in SERVICES:
    for _down, _suffix in ((0.0, ""), (10.0, "_10s")):
        add(
            Scenario(
                f"kill_{_service}{_suffix}",
                partial(_kill, service=_service, down=_down),
                f"kill -9 of {_service}, " + (f"back after {_down:.0f} s" if _down else "back at once"),
                allowed=REASONS_OF_A_DEAD_CAMERA if (_service, _down) == ("camera", 10.0) else {},
                proxied=False,
                short=not _down or _service == "cloud",
            )
        )


async def _redis_forgets(arena: Arena) -> None:
    """Commands wait for an absent camera; Redis dies, and its file is set aside as services/redis/start.sh would."""
    await arena.camera_fault("absent")
    await asyncio.sleep(5.0)
    redis, uploader = arena.device.redis, arena.device.uploader
    starts, lives = redis.starts, uploader.starts
    await asyncio.gather(redis.kill(down=3.0), uploader.kill(down=3.0))  # what it had in hand is forgotten as well
    folder = Path(redis.argv[redis.argv.index("--dir") + 1])
    files = [*folder.glob("appendonly*")]
    arena.struck(bool(files), f"an append-only file in {folder}")
    for file in files:
        file.rename(folder / f"set-aside-{file.name}")
    while redis.starts == starts or uploader.starts == lives:
        await asyncio.sleep(0.02)
    await arena.camera_fault("none")


add(
    Scenario(
        "redis_forgets",
        _redis_forgets,
        "Redis loses its damaged file while commands wait in it, and the uploader dies with it",
        proxied=False,
    )
)


async def _power_cut(arena: Arena) -> None:
    starts = {name: child.starts for name, child in arena.device.children.items()}
    await asyncio.gather(*(child.kill(down=3.0) for child in arena.device.children.values()))
    while any(child.starts == starts[name] for name, child in arena.device.children.items()):
        await asyncio.sleep(0.05)


# in the short form: power cuts with a clock set back, with a reboot, and with the cloud
add(
    Scenario("power_cut", _power_cut, "kill -9 of the whole device at once, back after 3 s", proxied=False, short=False)
)


async def _blackout(arena: Arena) -> None:
    starts = {name: child.starts for name, child in arena.children.items()}
    await asyncio.gather(*(child.kill(down=3.0) for child in arena.children.values()))
    while any(child.starts == starts[name] for name, child in arena.children.items()):
        await asyncio.sleep(0.05)
    await arena.cloud.healthy()


add(Scenario("blackout", _blackout, "kill -9 of the device and the cloud at once, back after 3 s", proxied=False))


async def _sigterm(arena: Arena, *, services: tuple[str, ...]) -> None:
    loop = asyncio.get_running_loop()
    slowest = 0.0
    for service in services:
        began = loop.time()
        assert await arena.children[service].terminate(grace=10.0), f"{service} did not end within 10 s of SIGTERM"
        slowest = max(slowest, loop.time() - began)
    if "cloud" in services:
        await arena.cloud.healthy()
    arena.note(f"ended within {slowest:.1f} s of SIGTERM")


add(Scenario("sigterm_cloud", partial(_sigterm, services=("cloud",)), "SIGTERM of the cloud", proxied=False))
add(
    Scenario(
        "sigterm_device",
        partial(_sigterm, services=("connector", "uploader", "camera", "redis")),
        "SIGTERM of connector, uploader, camera and Redis, one after another, while triggers come",
        proxied=False,
    )
)


_BESIDE = ("backup", "history", "jobs")
"""Rooms of the cloud that no trigger passes through."""


def kill_points(service: str) -> list[str]:
    """Every named kill point on the road in the sources of connector, uploader or cloud. What is done beside it dies at
    its own in its own tests; here a life that waits for one would never end."""
    sources = _ROOT / ("cloud" if service == "cloud" else f"services/{service}") / "src"
    text = "".join(path.read_text() for path in sources.rglob("*.py") if path.parent.name not in _BESIDE)
    return sorted(set(re.findall(r'kill_point\("([^"]+)"\)', text)))


class _Kills:
    """Counts down to the last kill; the loops of all services share it."""

    def __init__(self, kills: int) -> None:
        self.left = kills
        self.at: Counter[str] = Counter()

    def one_more(self) -> bool:
        """Whether another kill is wanted; takes it."""
        self.left -= 1
        return self.left >= 0


async def _kill_at_points(arena: Arena, service: str, points: list[str], kills: _Kills, rng: random.Random) -> None:
    """Each life of `service` ends at one of its named kill points, at a random pass, or at a random moment."""
    child = arena.children[service]
    while kills.one_more():
        point = rng.choice(points)
        child.env["VISANT_KILL_POINT"] = f"{point}:{rng.randint(1, 2)}"
        lives = child.starts
        await child.kill()  # at a random moment, and it brings the kill point in
        kills.at["a random moment"] += 1
        while child.starts == lives:
            await asyncio.sleep(0.02)
        child.env.pop("VISANT_KILL_POINT")  # the life after the next does without, and works off what has gathered
        lives = child.starts
        if not kills.one_more():
            return
        try:
            async with asyncio.timeout(15.0):
                while child.starts == lives:
                    await asyncio.sleep(0.05)
            kills.at[point] += 1
        except TimeoutError:
            await child.kill()  # that step was not taken in time
            kills.at["a random moment"] += 1
        await asyncio.sleep(rng.uniform(0.0, 4.0))


async def _kill_others(arena: Arena, kills: _Kills, rng: random.Random) -> None:
    while kills.left > 0:
        await asyncio.sleep(rng.uniform(3.0, 8.0))
        service = rng.choice(("camera", "redis", "redis", "cloud", "uploader", "connector"))
        if service == "cloud" and await http_status(f"{arena.cloud.url}/healthz") != 200:
            continue  # a cloud that never comes up on a slow machine would prove nothing about the device
        if arena.children[service].running and kills.one_more():
            await arena.children[service].kill()
            kills.at["a random moment"] += 1


async def _random_kills(arena: Arena, *, count: int) -> None:
    rng = random.Random(_KILL_SEED)
    kills = _Kills(count)
    await asyncio.gather(
        _keep_posting(arena, kills),
        *(_kill_at_points(arena, one, kill_points(one), kills, rng) for one in ("connector", "uploader")),
        _kill_others(arena, kills, rng),
    )
    named = sum(number for name, number in kills.at.items() if name != "a random moment")
    arena.struck(named >= count // 10, f"a tenth of {count} kills at a named kill point, it were {named}")
    arena.note(f"{count} kills, {named} of them at {len(kills.at) - 1} named kill points")


async def _keep_posting(arena: Arena, kills: _Kills) -> None:
    while kills.left > 0:
        await arena.post(5)


def _add_random_kills(name: str, kills: int, short: bool) -> None:
    add(
        Scenario(
            name,
            partial(_random_kills, count=kills),
            f"{kills} kills -9 of random processes, at random moments and at named kill points",
            cloud={"MANUAL_TTL": "1200"},
            allowed=REASONS_OF_A_DEAD_CAMERA,
            proxied=False,
            short=short,
            within=300.0,
        )
    )


_add_random_kills("random_kills_20", 20, True)
_add_random_kills("random_kills_200", 200, False)
