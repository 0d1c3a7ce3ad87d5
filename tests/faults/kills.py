"""Processes that die: kill -9 of each, at once restarted or after ten seconds; all together; 200 at random; SIGTERM."""

import asyncio
import random
import re
from functools import partial
from pathlib import Path

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


for _service in SERVICES:
    for _down, _suffix in ((0.0, ""), (10.0, "_10s")):
        add(
            Scenario(
                f"kill_{_service}{_suffix}",
                partial(_kill, service=_service, down=_down),
                f"kill -9 of {_service}, " + (f"back after {_down:.0f} s" if _down else "back at once"),
                proxied=False,
            )
        )


async def _power_cut(arena: Arena) -> None:
    starts = {name: child.starts for name, child in arena.device.children.items()}
    await asyncio.gather(*(child.kill(down=3.0) for child in arena.device.children.values()))
    while any(child.starts == starts[name] for name, child in arena.device.children.items()):
        await asyncio.sleep(0.05)


add(Scenario("power_cut", _power_cut, "kill -9 of the whole device at once, back after 3 s", proxied=False))


async def _blackout(arena: Arena) -> None:
    starts = {name: child.starts for name, child in arena.children.items()}
    await asyncio.gather(*(child.kill(down=3.0) for child in arena.children.values()))
    while any(child.starts == starts[name] for name, child in arena.children.items()):
        await asyncio.sleep(0.05)


add(Scenario("blackout", _blackout, "kill -9 of the device and the cloud at once, back after 3 s", proxied=False))


async def _sigterm(arena: Arena, *, services: tuple[str, ...]) -> None:
    loop = asyncio.get_running_loop()
    slowest = 0.0
    for service in services:
        began = loop.time()
        assert await arena.children[service].terminate(grace=10.0), f"{service} did not end within 10 s of SIGTERM"
        slowest = max(slowest, loop.time() - began)
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


def kill_points() -> dict[str, list[str]]:
    """Every named kill point in the services' sources, by service."""
    found: dict[str, list[str]] = {}
    for service in ("connector", "uploader"):
        text = "".join(path.read_text() for path in (_ROOT / "services" / service / "src").rglob("*.py"))
        found[service] = sorted(set(re.findall(r'kill_point\("([^"]+)"\)', text)))
    return found


async def _random_kills(arena: Arena, *, kills: int, every: float) -> None:
    rng = random.Random(_KILL_SEED)
    points = kill_points()
    done = {"at random": 0, "at a kill point": 0}
    for _ in range(kills):
        service = rng.choice(SERVICES)
        child = arena.children[service]
        await asyncio.sleep(rng.uniform(0.2, 2 * every))
        while not child.running:
            await asyncio.sleep(0.02)
        if points.get(service) and rng.random() < 0.7:
            point, passes = rng.choice(points[service]), rng.randint(1, 2)
            child.env["VISANT_KILL_POINT"] = f"{point}:{passes}"
            await child.kill()  # the next life carries the kill point
            lives = child.starts
            while child.starts == lives:
                await asyncio.sleep(0.02)
            lives = child.starts
            child.env.pop("VISANT_KILL_POINT")  # the life after that does not
            try:
                async with asyncio.timeout(6.0):
                    while child.starts == lives:
                        await asyncio.sleep(0.05)
                done["at a kill point"] += 1
            except TimeoutError:
                await child.kill()  # that step was not taken in time
                done["at random"] += 1
        else:
            await child.kill()
            done["at random"] += 1
    arena.note(f"{kills} kills: {done['at a kill point']} at named kill points, {done['at random']} at random moments")


def _add_random_kills(name: str, kills: int, triggers: int, short: bool) -> None:
    add(
        Scenario(
            name,
            partial(_random_kills, kills=kills, every=0.8),
            f"{kills} kills -9 of random processes, at random moments and at named kill points",
            cloud={"MANUAL_TTL": "1200"},
            allowed=REASONS_OF_A_DEAD_CAMERA,
            proxied=False,
            triggers=triggers,
            short=short,
            within=300.0,
        )
    )


_add_random_kills("random_kills_20", 20, 60, True)
_add_random_kills("random_kills_200", 200, 400, False)
