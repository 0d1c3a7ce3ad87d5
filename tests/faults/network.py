"""A network that is gone: the device's processes in a network namespace of their own, joined by a cable to pull."""

import asyncio
import json

from emulation.stack import Cloud
from tests.faults.arena import Arena
from tests.faults.scenario import Scenario, Skipped, add
from tests.support.cable import Cable, NoCable, run


async def cable(arena: Arena) -> None:
    """The device in a namespace of its own, the cloud outside, a cable between them."""
    try:
        made = Cable()
    except NoCable as error:
        raise Skipped(str(error)) from None

    async def remove() -> None:
        made.remove()

    arena.cleanups.append(remove)
    settings = {**arena.scenario.cloud, "HTTP_HOST": made.here}
    arena.cloud = Cloud(arena.folder / "cloud", arena.logs, settings, port=arena.cloud.port)
    arena.retarget(arena.cloud.url)
    arena.device.set(API_URL=arena.cloud.url)
    for child in arena.device.children.values():
        child.argv = made.inside_of_it(*child.argv)
    arena.cable = made


async def _pull(arena: Arena) -> None:
    assert arena.cable is not None
    arena.cable.pull()
    await asyncio.sleep(60.0)
    arena.cable.plug()


add(
    Scenario(
        "network_gone_60s",
        _pull,
        "the cable between device and cloud is pulled for 60 s",
        prepare=cable,
        proxied=False,
        cloud={"MANUAL_TTL": "120"},
    )
)


async def _narrow(arena: Arena) -> None:
    """64 kbit/s: a picture takes three times as long as an upload may stand still, and none may be given up for it."""
    assert arena.cable is not None
    shape, inside = arena.cable.inside_of_it("tc", "qdisc"), arena.cable.inside
    run(*shape, "add", "dev", inside, "root", "tbf", "rate", "64kbit", "burst", "4k", "latency", "500ms")
    await asyncio.sleep(20.0)
    failed = _failed_uploads(arena)
    run(*shape, "del", "dev", inside, "root")
    assert not failed, f"{failed} uploads were given up though bytes were taken all the time"


def _failed_uploads(arena: Arena) -> float:
    facts = json.loads(arena.device.heartbeat("uploader").read_text())["facts"]
    return float(facts.get("counters", {}).get("uploads_failed", 0))


add(
    Scenario(
        "uplink_64kbit",
        _narrow,
        "an uplink of 64 kbit/s for 20 s, with UPLOAD_TIMEOUT=1",
        device={"UPLOAD_TIMEOUT": "1", "TELEMETRY_INTERVAL": "5"},
        prepare=cable,
        proxied=False,
        short=False,
    )
)
