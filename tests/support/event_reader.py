"""A program that reads `GET /v1/events` of a cloud that runs in the test."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx


class EventReader:
    """What has come so far."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.id: int | None = None
        """Of the last line `id:`."""

    async def next(self, timeout: float = 60.0) -> dict[str, Any]:
        """The next message; EOFError at the end."""
        async with asyncio.timeout(timeout):
            async for line in self._lines:
                if line.startswith("id:"):
                    self.id = int(line[3:])
                if line.startswith("data:"):
                    return dict(json.loads(line[5:]))
        raise EOFError

    async def event(self) -> dict[str, Any]:
        """The next that is no ping."""
        while (message := await self.next())["type"] == "ping":
            pass
        return message

    async def events(self, count: int) -> list[dict[str, Any]]:
        """So many of them."""
        return [await self.event() for _ in range(count)]

    async def ended(self) -> bool:
        """Once the cloud has ended it."""
        try:
            while True:
                await self.next()
        except (EOFError, httpx.RemoteProtocolError, httpx.ReadError):
            return True


@asynccontextmanager
async def reading(
    client: httpx.AsyncClient, headers: dict[str, str] | None = None, **query: Any
) -> AsyncIterator[EventReader]:
    """An open stream; its first message, `connected`, is read by whoever opens it."""
    async with client.stream("GET", "/v1/events", params=query, headers=headers, timeout=60) as response:
        if response.status_code != 200:
            await response.aread()
            response.raise_for_status()
        yield EventReader(response)
