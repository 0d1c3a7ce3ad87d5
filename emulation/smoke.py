"""`make smoke`: N triggers through the public endpoint, and what became of each, as one line of JSON.

With --url it speaks to a cloud that runs already (containers, another machine); without, it starts everything itself.
Exit status 0 only when every trigger has its outcome and every picture decodes and is newer than its trigger.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from emulation.accounts import Account, Posted, account, settled
from emulation.cloud_api import CloudApi, NotAccepted
from emulation.console import LogFiles
from emulation.ports import NoFreePort
from emulation.processes import Child
from emulation.redis_server import NoRedisServer
from emulation.stack import Cloud, Device
from emulation.wait import TookTooLong, until

SERVICES = ("redis", "camera", "connector", "uploader", "cloud")


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make smoke", description=__doc__)
    parser.add_argument("-n", type=int, default=20, help="triggers")
    parser.add_argument("--rate", type=float, default=5.0, help="triggers a second")
    parser.add_argument("--url", help="a cloud that runs already, e.g. http://127.0.0.1:8000")
    parser.add_argument("--device", default="EMULATED-1")
    parser.add_argument("--token", default=os.environ.get("VISANT_API_TOKEN"), help="an API token, or VISANT_API_TOKEN")
    parser.add_argument("--kill", choices=SERVICES, help="kill -9 this process in the middle (not with --url)")
    parser.add_argument("--within", type=float, default=180.0, help="seconds to wait for the last outcome")
    found = parser.parse_args(argv)
    if found.n < 1 or found.rate <= 0:
        parser.error("-n and --rate must be above 0")
    if found.kill and found.url:
        parser.error("--kill needs processes of our own: leave --url away")
    return found


@contextlib.asynccontextmanager
async def own_stack(device_id: str) -> AsyncIterator[tuple[str, dict[str, Child]]]:
    """A cloud and one device in a temporary folder, healthy; its URL and its processes by service name."""
    with tempfile.TemporaryDirectory(prefix="visant-smoke-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        logs = LogFiles(folder / "logs")
        cloud = Cloud(folder / "cloud", logs)
        device = Device(device_id, folder / device_id, cloud.url, logs)
        children = {**device.children, "cloud": cloud.child}
        try:
            try:
                await cloud.start()
                await device.start()
                await device.healthy()
                yield cloud.url, children
            except BaseException:
                for child in children.values():
                    _tail(logs.path(child.name))
                raise
        finally:
            await device.stop()
            await cloud.stop()


def _tail(path: Path, lines: int = 15) -> None:
    if path.exists():
        for line in path.read_text().splitlines()[-lines:]:
            print(f"{path.stem:>10} | {line}", file=sys.stderr)


async def fire(api: CloudApi, device_id: str, count: int, rate: float, *, run: str) -> list[Posted]:
    """Posts `count` triggers, `rate` a second, each asked again with its key until the cloud has answered."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def one(number: int) -> Posted:
        await asyncio.sleep(began + number / rate - loop.time())
        at = time.monotonic()
        trigger = await api.trigger(device_id, f"{run}-{number}")
        return Posted(trigger, at, time.monotonic())

    return list(await asyncio.gather(*(one(number) for number in range(count))))


async def _smoke(arguments: argparse.Namespace, url: str, children: dict[str, Child]) -> Account:
    async with CloudApi(url, token=arguments.token) as api:

        async def connected() -> bool:
            try:
                return (await api.subscribers()).get(arguments.device, 0) > 0
            except httpx.HTTPError:
                return False

        await until(f"{arguments.device} is connected to {url}", connected, within=60.0, every=0.3)
        print(f"{arguments.n} triggers, {arguments.rate:g} a second, to {arguments.device} at {url}", flush=True)
        run = f"smoke-{time.time_ns()}"
        firing = asyncio.create_task(fire(api, arguments.device, arguments.n, arguments.rate, run=run))
        if arguments.kill:
            await asyncio.sleep(arguments.n / arguments.rate / 2)
            print(f"kill -9 {arguments.kill}", flush=True)
            await children[arguments.kill].kill()
        posted = await firing
        await settled(api, arguments.device, {one.trigger_id for one in posted}, within=arguments.within)
        return await account(api, arguments.device, posted)


async def _run(arguments: argparse.Namespace) -> Account:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    if arguments.url:
        return await _smoke(arguments, arguments.url.rstrip("/"), {})
    async with own_stack(arguments.device) as (url, children):
        return await _smoke(arguments, url, children)


def summary(found: Account) -> dict[str, int | float | None]:
    """The last line, as values."""
    return {
        "triggers": found.triggers,
        "captured": found.captured,
        "failed": found.failed,
        "expired": found.expired,
        "unaccounted": len(found.unaccounted),
        "p50_ms": found.percentile_ms(0.5),
        "p99_ms": found.percentile_ms(0.99),
    }


def main(argv: list[str] | None = None) -> int:
    """0: nothing unaccounted, all pictures good. 1: not so, or it could not run. 130: interrupted."""
    arguments = _arguments(argv)
    try:
        found = asyncio.run(_run(arguments))
    except (NoRedisServer, NoFreePort, NotAccepted, TookTooLong, httpx.HTTPError) as error:
        print(f"[ERROR] {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    for problem in found.problems:
        print(f"[ERROR] {problem}", file=sys.stderr)
    for promise in found.broken_promises():
        print(promise, file=sys.stderr, flush=True)
    for reason, count in found.reasons.items():
        print(f"without a picture: {count} times {reason}")
    print(json.dumps(summary(found), separators=(",", ":")), flush=True)
    return 0 if found.good else 1


if __name__ == "__main__":
    sys.exit(main())
