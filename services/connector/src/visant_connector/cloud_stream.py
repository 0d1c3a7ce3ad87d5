"""The command stream of the cloud over HTTP: opens it, turns what arrives into typed messages, ends it
when it is silent.

Raises two verdicts: Misconfigured where a person must act (401, 403, 404, a redirect), Retryable for all else.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

import httpx
from httpx_sse import EventSource

from visant_connector.line_limiter import LineLimiter
from visant_connector.reconnect import silence_limit
from visant_connector.settings import ConnectorSettings
from visant_contract.command import Message, UnknownEvent, parse_message
from visant_contract.errors import BrokenMessage, Misconfigured, Retryable
from visant_contract.sse import MAX_EVENT_BYTES, Connected, Ping
from visant_runtime.backoff import retry_after
from visant_runtime.clock import Clock
from visant_runtime.device.cloud_errors import refused
from visant_runtime.device.cloud_http import CONNECT_TIMEOUT, FAILURES, open_client, socket_limits, why

_DETAIL_BYTES = 4096
_EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True)
class Received:
    """One event of the stream."""

    message: Message | BrokenMessage
    boottime: float
    """CLOCK_BOOTTIME of its arrival, seconds."""
    asked: float
    """CLOCK_BOOTTIME at which this stream was asked for."""
    last_id: str | None
    """SSE id of the last command that this stream brought, this event included."""
    size: int = 0
    """Characters of its data."""
    commands: int = 0
    """Commands with an SSE id of their own that this stream brought, this event included."""


class CloudStream:
    """Opens streams, one at a time. Proxy and certificate variables of the environment are honoured."""

    def __init__(self, settings: ConnectorSettings, clock: Clock, dropped: Callable[[str], None]) -> None:
        """`dropped(why)` hears of each line that was left out. Raises SettingsError as `open_client` does."""
        self._settings = settings
        self._clock = clock
        self._dropped = dropped
        # no compression: a proxy that compresses also collects, and a ping is 100 bytes
        headers = {"Accept": _EVENT_STREAM, "Cache-Control": "no-store", "Accept-Encoding": "identity"}
        self._client = open_client(settings, silence=settings.stream_timeout, headers=headers)

    async def aclose(self) -> None:
        """Ends the client."""
        await self._client.aclose()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Received]]:
        """A stream whose answer was 200; iterate it for its events, which end only by a verdict."""
        asked = self._clock.boottime()
        response = await self._ask()
        try:
            await self._check(response)
            async with aclosing(self._events(response, asked)) as events:
                yield events
        finally:
            await response.aclose()

    async def _ask(self) -> httpx.Response:
        silence = self._settings.stream_timeout
        query = {"device_version": self._settings.device_version}
        if self._settings.ping_every is not None:
            query["ping_every"] = f"{self._settings.ping_every:.0f}"
        request = self._client.build_request(
            "GET",
            f"/v1/devices/{quote(self._settings.device_id, safe='')}/commands",
            params=query,
            timeout=httpx.Timeout(CONNECT_TIMEOUT, read=None),  # how long events may stay away, `connected` says
            extensions=socket_limits(silence),
        )
        try:
            async with asyncio.timeout(silence):
                return await self._client.send(request, stream=True)
        except FAILURES as error:
            found = httpx.ReadTimeout("") if isinstance(error, TimeoutError) else error
            text = why(found, self._settings.api_url, silence=silence, wall=self._clock.wall())
            raise Retryable(text) from None

    async def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if status == 200 and kind == _EVENT_STREAM:
            return
        if status == 200:
            raise Retryable(
                f"the answer is {kind or 'without a type'}, not an event stream:"
                " is API_URL right, does the network want a sign-in page to be clicked?"
            )
        detail = await _detail(response)
        if status in (401, 403, 404):
            with_token = self._settings.device_token is not None
            raise Misconfigured(str(status), refused(status, detail, self._settings.device_id, with_token))
        if 300 <= status < 400:
            target = str(response.headers.get("location", "elsewhere"))[:200]
            raise Misconfigured(
                str(status),
                f"{status}: the cloud redirects to {target}; not followed: set API_URL to the final address",
            )
        said = f" ({detail})" if detail else ""
        raise Retryable(f"the cloud answers {status}{said}", retry_after=retry_after(response.headers))

    async def _events(self, response: httpx.Response, asked: float) -> AsyncGenerator[Received, None]:
        limit = self._settings.stream_timeout
        last_id: str | None = None
        commands = 0
        lines = _Lines(response, LineLimiter(MAX_EVENT_BYTES, self._dropped))
        clean = httpx.Response(200, headers={"content-type": f"{_EVENT_STREAM}; charset=utf-8"}, stream=lines)
        loop = asyncio.get_running_loop()
        due = loop.time() + limit
        async with aclosing(EventSource(clean).aiter_sse()) as source:
            while True:
                try:
                    async with asyncio.timeout_at(due):
                        event = await anext(source, None)
                except TimeoutError:
                    raise Retryable(f"the stream is silent: no event for {limit:.0f} s") from None
                except (httpx.RequestError, OSError) as error:
                    raise Retryable(f"the stream broke ({type(error).__name__}: {error})") from None
                if event is None:
                    raise Retryable("the cloud closed the stream")
                message = _message(event.data)
                if not isinstance(message, Connected | Ping | UnknownEvent):
                    commands += bool(event.id) and event.id != last_id
                    last_id = event.id or None
                if message is None:  # no sign of life: a proxy may make empty events up
                    continue
                if isinstance(message, Connected):
                    limit = silence_limit(self._settings.stream_timeout, message.ping_every)
                yield Received(message, self._clock.boottime(), asked, last_id, len(event.data), commands)
                due = loop.time() + limit  # counted from when somebody listens again


class _Lines(httpx.AsyncByteStream):
    """The body, as whole lines within bounds."""

    def __init__(self, response: httpx.Response, lines: LineLimiter) -> None:
        self._response = response
        self._lines = lines

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.aiter_bytes():
            whole = b"".join(self._lines.feed(chunk))
            if whole:
                yield whole


def _message(data: str) -> Message | BrokenMessage | None:
    if not data:  # its line was dropped, or there was none
        return None
    try:
        return parse_message(data)
    except BrokenMessage as broken:
        return broken


async def _detail(response: httpx.Response) -> str:
    """The `detail` of an error body, one short text; empty where there is none."""
    body = b""
    try:
        async with asyncio.timeout(5.0):
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _DETAIL_BYTES:
                    return ""
        found = json.loads(body)
    except (TimeoutError, httpx.RequestError, OSError, ValueError, RecursionError):
        return ""
    detail = found.get("detail") if isinstance(found, dict) else None
    return detail[:200] if isinstance(detail, str) else ""
