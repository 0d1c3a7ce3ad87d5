"""Many devices in one process, by the public wire alone: each holds a stream, takes each trigger once and delivers.

They keep the device's side of the promise (what was taken is never taken again and is delivered until its receipt) at a
hundredth of the cost of a real device's four processes.
"""

import asyncio
import base64
import json
import random
import ssl
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime

import httpx

from visant_connector.reconnect import STEADY, Reconnect

_SILENCE = 45.0
"""Seconds without a line after which a stream counts as dead: two pings."""


class SmallDevice:
    """`run()` until cancelled."""

    def __init__(self, url: str, device_id: str, token: str, tls: ssl.SSLContext, jpeg: bytes) -> None:
        self.device_id = device_id
        self.taken: Counter[str] = Counter()
        """trigger_id -> how often a picture was taken for it; more than once would be our own fault."""
        self.received: dict[str, int] = {}
        """trigger_id -> the status of its receipt."""
        self.connected = asyncio.Event()
        self.gaps: list[float] = []
        """Seconds from the end of each confirmed stream to the next `connected`."""
        self.cloud_ids: set[str] = set()
        self._image = base64.b64encode(jpeg).decode()
        self._queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._rng = random.Random(device_id)
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            verify=tls,
            trust_env=False,
            timeout=httpx.Timeout(15.0, read=_SILENCE),
        )

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                tasks.create_task(self._deliver())
        finally:
            await self._client.aclose()

    async def _listen(self) -> None:
        reconnect = Reconnect(5.0)
        left: float | None = None
        while True:
            since: float | None = None
            with suppress(httpx.HTTPError, json.JSONDecodeError):
                path = f"/v1/devices/{self.device_id}/commands"
                async with self._client.stream("GET", path) as answer:
                    async for line in answer.aiter_lines():
                        if answer.status_code != 200 or not line.startswith("data:"):
                            continue
                        message = json.loads(line[5:])
                        if message.get("event") == "connected":
                            since = time.monotonic()
                            self.connected.set()
                            self.cloud_ids.add(message["cloud_id"])
                            if left is not None:
                                self.gaps.append(since - left)
                        elif message.get("cmd") == "capture":
                            self._take(message["trigger_id"], message["type"])
            if since is not None:
                left = time.monotonic()
                reconnect = reconnect.steady() if left - since >= STEADY else reconnect
            self.connected.clear()
            wait, reconnect = reconnect.wait(self._rng), reconnect.failed()
            await asyncio.sleep(wait)

    def _take(self, trigger_id: str, kind: str) -> None:
        if trigger_id not in self.taken:  # it comes again with every stream until the cloud has its outcome
            self.taken[trigger_id] += 1
            self._queue.put_nowait((trigger_id, kind))

    async def _deliver(self) -> None:
        while True:
            trigger_id, kind = await self._queue.get()
            body = {
                "device_id": self.device_id,
                "trigger_id": trigger_id,
                "image_base64": self._image,
                "captured_at": datetime.now(UTC).isoformat(),
                "metadata": {"trigger_type": kind},
            }
            while trigger_id not in self.received:
                with suppress(httpx.HTTPError):
                    answer = await self._client.post("/v1/captures", json=body, headers={"Idempotency-Key": trigger_id})
                    if answer.status_code in (200, 201):
                        self.received[trigger_id] = answer.status_code
                        break
                await asyncio.sleep(self._rng.uniform(0.2, 1.0))
