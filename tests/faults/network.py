"""A network that is gone: the device's processes in a network namespace of their own, joined by a cable to pull."""

import asyncio
import json
import os
import subprocess
from itertools import count

from emulation.stack import Cloud
from tests.faults.arena import Arena, is_root
from tests.faults.scenario import Scenario, Skipped, add

_NUMBERS = count(1)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


async def cable(arena: Arena) -> None:
    """The device at 10.213.N.2 in its namespace, the cloud at 10.213.N.1 outside, a veth pair between them."""
    if not is_root():
        raise Skipped("network namespaces need root")
    name = f"vf{os.getpid()}x{next(_NUMBERS)}"
    number = os.getpid() % 250
    here, inside = outside(name), f"{name}i"[-15:]
    try:
        _run("ip", "netns", "add", name)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        raise Skipped(f"no network namespaces here: {error}") from None

    async def remove() -> None:
        subprocess.run(["ip", "link", "del", here], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    arena.cleanups.append(remove)
    _run("ip", "link", "add", here, "type", "veth", "peer", "name", inside, "netns", name)
    _run("ip", "addr", "add", f"10.213.{number}.1/30", "dev", here)
    _run("ip", "link", "set", here, "up")
    _run("ip", "-n", name, "addr", "add", f"10.213.{number}.2/30", "dev", inside)
    _run("ip", "-n", name, "link", "set", inside, "up")
    _run("ip", "-n", name, "link", "set", "lo", "up")
    settings = {**arena.scenario.cloud, "HTTP_HOST": f"10.213.{number}.1"}
    arena.cloud = Cloud(arena.folder / "cloud", arena.logs, settings, port=arena.cloud.port)
    arena.retarget(arena.cloud.url)
    arena.device.set(API_URL=arena.cloud.url)
    for child in arena.device.children.values():
        child.argv = ["ip", "netns", "exec", name, *child.argv]
    arena.namespace = name


def outside(namespace: str) -> str:
    """The cable's end on this side."""
    return f"{namespace}o"[-15:]  # Linux: at most 15 characters


async def _pull(arena: Arena) -> None:
    _run("ip", "link", "set", outside(arena.namespace), "down")
    await asyncio.sleep(60.0)
    _run("ip", "link", "set", outside(arena.namespace), "up")


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
    inside = f"{arena.namespace}i"[-15:]
    shape = ["ip", "netns", "exec", arena.namespace, "tc", "qdisc"]
    _run(*shape, "add", "dev", inside, "root", "tbf", "rate", "64kbit", "burst", "4k", "latency", "500ms")
    await asyncio.sleep(20.0)
    failed = _failed_uploads(arena)
    _run(*shape, "del", "dev", inside, "root")
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
