"""A cloud and its devices as processes: which programs, which settings, when they are healthy.

cloud = Cloud(folder / "cloud", output)
device = Device("EMULATED-1", folder / "EMULATED-1", cloud.url, output)
"""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulation.console import Output
from emulation.ports import hold_port
from emulation.processes import Child, clean_environment, python_module
from emulation.redis_server import redis_answers, redis_child
from emulation.wait import until
from visant_runtime.health import health

START_WITHIN = 60.0
"""Seconds that a part may take to become healthy; a slow machine starting thirty processes needs many."""


async def http_status(url: str, timeout: float = 2.0) -> int:
    """The status that GET answers, 0 where nobody does."""

    def ask() -> int:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=timeout) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except (OSError, ValueError):
            return 0

    return await asyncio.to_thread(ask)


class Cloud:
    """`visant-cloud run` with SQLite and its pictures in `folder`. AUTH=open unless `settings` say otherwise."""

    def __init__(
        self,
        folder: Path,
        output: Output,
        settings: Mapping[str, str] | None = None,
        *,
        name: str = "cloud",
        port: int | None = None,
    ) -> None:
        settings = settings or {}
        self.folder = folder
        self.port = port or hold_port(8000)
        self.host = settings.get("HTTP_HOST", "127.0.0.1")
        folder.mkdir(parents=True, exist_ok=True)
        env = {
            "HTTP_HOST": self.host,
            "PORT": str(self.port),
            "DATA_DIR": str(folder),
            "AUTH": "open",
            "MIN_FREE_BYTES": "0",
            "HEARTBEAT_FILE": str(folder / "cloud.heartbeat"),
        } | dict(settings)
        self.child = Child(name, python_module("visant_cloud", "run"), clean_environment(**env), output)

    @property
    def url(self) -> str:
        """Of the page and of the API."""
        return f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        """Starts it and waits until it answers."""
        await self.child.start()
        await self.healthy()

    async def healthy(self, within: float = START_WITHIN) -> None:
        """Until `/readyz` answers 200. Raises TookTooLong."""

        async def answers() -> bool:
            return await http_status(f"{self.url}/readyz") == 200

        await until(f"{self.child.name} answers at {self.url}/readyz", answers, within=within)

    async def stop(self) -> None:
        """Ends it for good."""
        await self.child.stop()


class Device:
    """Redis, camera (fake), connector and uploader of one device, wired to `api_url`."""

    def __init__(
        self,
        device_id: str,
        folder: Path,
        api_url: str,
        output: Output,
        settings: Mapping[str, str] | None = None,
        *,
        label: str = "",
        usual_ports: bool = False,
    ) -> None:
        self.device_id = device_id
        self.folder = folder
        settings = settings or {}
        self.spool = Path(settings.get("SPOOL_DIR", str(folder / "spool")))
        self.redis_port = hold_port(6379 if usual_ports else None)
        self.camera_port = hold_port(8080 if usual_ports else None)
        self.camera_url = f"http://127.0.0.1:{self.camera_port}"
        self._beats = folder / "heartbeats"
        for needed in (folder, self.spool, self._beats, folder / "camera"):
            needed.mkdir(parents=True, exist_ok=True)
        shared = {
            "DEVICE_ID": device_id,
            "API_URL": api_url,
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "CAMERA_URL": self.camera_url,
            "SPOOL_DIR": str(self.spool),
            "SPOOL_MIN_FREE_BYTES": "0",
            "CAMERA_SOURCE": "fake",
            "CAMERA_STATE_DIR": str(folder / "camera"),
        } | dict(settings)
        prefix = f"{label} " if label else ""
        self.redis = redis_child(f"{prefix}redis", self.redis_port, folder / "redis", output)
        self.camera = self._service("camera", prefix, output, shared | {"HTTP_PORT": str(self.camera_port)})
        self.connector = self._service("connector", prefix, output, shared)
        self.uploader = self._service("uploader", prefix, output, shared)

    def _service(self, name: str, prefix: str, output: Output, settings: dict[str, str]) -> Child:
        env = clean_environment(**settings, HEARTBEAT_FILE=str(self.heartbeat(name)))
        return Child(f"{prefix}{name}", python_module(f"visant_{name}", "run"), env, output)

    @property
    def children(self) -> dict[str, Child]:
        """By service name, in the order of starting."""
        return {"redis": self.redis, "camera": self.camera, "connector": self.connector, "uploader": self.uploader}

    def heartbeat(self, service: str) -> Path:
        """Where `service` beats."""
        return self._beats / f"{service}.heartbeat"

    def set(self, **settings: str) -> None:
        """Settings of camera, connector and uploader from their next start on."""
        for name in ("camera", "connector", "uploader"):
            self.children[name].env.update(settings)

    async def start(self) -> None:
        """Starts all four; see `healthy` for the end of it."""
        for child in self.children.values():
            await child.start()

    async def healthy(self, within: float = START_WITHIN, *, redis: bool = True) -> None:
        """Until Redis answers (if it can be asked from here), the services beat and the stream is confirmed.

        Raises TookTooLong.
        """

        async def answers() -> bool:
            return await redis_answers(self.redis_port)

        if redis:
            await until(f"{self.device_id}: redis answers", answers, within=within)
        for service in ("camera", "connector", "uploader"):

            async def beats(service: str = service) -> bool:
                return self._facts(service) is not None and health(self.heartbeat(service))[0] == 0

            await until(f"{self.device_id}: {service} is healthy", beats, within=within)

        async def confirmed() -> bool:
            return self.stream_confirmed()

        await until(f"{self.device_id}: its stream is confirmed", confirmed, within=within)

    def stream_confirmed(self) -> bool:
        """Whether the connector says that the cloud confirmed its stream."""
        facts = self._facts("connector") or {}
        stream = facts.get("stream")
        return isinstance(stream, dict) and bool(stream.get("confirmed"))

    def _facts(self, service: str) -> dict[str, Any] | None:
        """What the service's heartbeat says; None where the file is an earlier process's, or not there yet."""
        try:
            found = json.loads(self.heartbeat(service).read_text())
            return dict(found["facts"]) if found["pid"] == self.children[service].pid else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    async def stop(self) -> None:
        """Ends all four for good, Redis last."""
        await asyncio.gather(self.connector.stop(), self.uploader.stop(), self.camera.stop())
        await self.redis.stop()
