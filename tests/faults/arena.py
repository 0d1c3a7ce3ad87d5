"""One scenario's own world: a cloud, a device, the network between them, and the ledger of what the cloud accepted."""

import asyncio
import contextlib
import json
import os
import shutil
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from emulation.accounts import Posted
from emulation.cloud_api import CloudApi
from emulation.console import LogFiles
from emulation.ports import hold_port
from emulation.processes import Child
from emulation.stack import Cloud, Device
from emulation.wait import until
from tests.faults.fault_proxy import FaultProxy
from tests.faults.scenario import NotStruck, Scenario
from tests.faults.workers import Workers
from tests.support.cable import Cable

DEVICE = "FAULTY-1"
_POSTS_AT_ONCE = 60
"""With thousands the HTTP client's pool looks through all that wait at each answer, and every proxy here stands still.
More than triggers wait in any scenario that takes the cloud away, so none is posted late there."""


class Arena:
    """Made by `arena()`. Scenarios break it; the runner keeps its books."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self.folder = folder
        self.logs = LogFiles(folder / "logs")
        self.ledger: list[Posted] = []
        self.notes: list[str] = []
        """For the last column of the table."""
        self.fault_began = 0.0
        self.fault_ended = 0.0
        """Wall clock, epoch seconds."""
        self.target: CloudApi
        """The cloud that gets the triggers."""
        self.cleanups: list[Callable[[], Awaitable[Any]]] = []
        """Undo what the scenario did to the machine; called in reverse."""
        self.workers: Workers | None = None
        self.cable: Cable | None = None
        """Between cloud and device, where the scenario made one: the device is in its namespace."""
        self.cloud = Cloud(folder / "cloud", self.logs, scenario.cloud, port=hold_port())
        self.proxy = FaultProxy(hold_port(), self.cloud.port)
        api_url = self.proxy.url if scenario.proxied else self.cloud.url
        self.device = Device(DEVICE, folder / "device", api_url, self.logs, scenario.device)
        for child in self.children.values():
            child.longest_delay = 2.0  # a suite of minutes cannot wait as long between two starts as a device in a year

    @property
    def children(self) -> dict[str, Child]:
        """All five by service name."""
        return {**self.device.children, "cloud": self.cloud.child}

    async def post(self, count: int, every: float = 1.0) -> None:
        """Posts `count` triggers, one `every` seconds, into the ledger; each is asked again until it is accepted."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        gate = asyncio.Semaphore(_POSTS_AT_ONCE)

        async def one(number: int) -> None:
            await asyncio.sleep(began + number * every - loop.time())
            async with gate:
                # both of now: a scenario may exchange them while the answer is on its way
                target, ledger, at = self.target, self.ledger, time.monotonic()
                key = f"{self.scenario.name}-{at:.6f}-{number}"
                trigger = await target.trigger(DEVICE, key, patience=600.0)
                ledger.append(Posted(trigger, at, time.monotonic()))

        await asyncio.gather(*(one(number) for number in range(count)))

    def counter(self, service: str, name: str) -> int:
        """What `service` of the device says in its heartbeat under `name`; 0 where it does not say."""
        try:
            return int(json.loads(self.device.heartbeat(service).read_text())["facts"][name])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    async def camera_fault(self, fault: str) -> None:
        """Sets a fault of the fake camera (`none` ends it)."""
        body = json.dumps({"fault": fault}).encode()
        request = urllib.request.Request(f"{self.device.camera_url}/fake/faults", body, method="POST")
        await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=5).close())

    async def uploader_command(self, *arguments: str) -> str:
        """Runs `visant-uploader ARGUMENTS` as a technician on the device would; returns its output."""
        child = self.device.uploader
        process = await asyncio.create_subprocess_exec(
            *child.argv[: child.argv.index("run")],
            *arguments,
            env=child.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await process.communicate())[0].decode("utf-8", "replace")
        self.logs.line("technician", f"$ visant-uploader {' '.join(arguments)}\n{output}")
        if process.returncode:
            raise AssertionError(f"visant-uploader {' '.join(arguments)} ended with {process.returncode}: {output}")
        return output

    def retarget(self, url: str, token: str | None = None) -> None:
        """Triggers and questions go to the cloud at `url` from now on."""
        api = CloudApi(url, token=token)
        self.cleanups.append(api.aclose)
        self.target = api

    def note(self, text: str) -> None:
        """Says `text` in the table."""
        self.notes.append(text)

    def struck(self, condition: bool, expected: str) -> None:
        """Raises NotStruck where the fault did not have its effect."""
        if not condition:
            raise NotStruck(f"the fault did not strike: {expected}")

    async def start(self) -> None:
        """Everything healthy and the stream confirmed."""
        if self.scenario.workers or os.environ.get("WORKERS") == "2":
            self.workers = Workers(self)
            await self.workers.prepare()
        if self.scenario.prepare is not None:
            await self.scenario.prepare(self)
        await self.proxy.start()
        await self.cloud.start()
        await self.device.start()
        await self.device.healthy(redis=self.cable is None)

        async def subscribed() -> bool:
            return (await self.target.subscribers()).get(DEVICE, 0) > 0

        await until("the cloud sees the device", subscribed, within=60)

    async def stop(self) -> None:
        """Ends every process, undoes what scenarios did to the machine."""
        await self.device.stop()
        await self.cloud.stop()
        await self.proxy.stop()
        for cleanup in reversed(self.cleanups):
            await cleanup()


@contextlib.asynccontextmanager
async def arena(scenario: Scenario, base: Path) -> AsyncIterator[Arena]:
    """A fresh arena in a folder below `base`, not started yet; all is ended afterwards, the logs stay."""
    folder = base / scenario.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = Arena(scenario, folder)
    made.retarget(made.cloud.url)
    try:
        yield made
    finally:
        await made.stop()


def is_root() -> bool:
    """Whether namespaces and mounts can be made."""
    return os.geteuid() == 0
