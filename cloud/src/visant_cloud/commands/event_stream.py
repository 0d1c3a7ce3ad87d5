"""The stream on which a device gets its commands: what is said on it, in which order, and when it ends."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import assert_never

import anyio
import structlog
from fastapi import Response
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from visant_cloud.access.revocation import still_welcome
from visant_cloud.commands.hub import Subscription
from visant_cloud.context import Cloud
from visant_cloud.store import devices, triggers
from visant_cloud.store.database import DATABASE_ERRORS
from visant_cloud.store.devices import Device
from visant_cloud.store.triggers import Trigger
from visant_contract.capture import JPEG
from visant_contract.command import CaptureCommand, UpdateConfigCommand
from visant_contract.sse import Connected, Ping

log = structlog.get_logger()

_BATCH = 100
"""Commands read at once; more are read when these are written."""


class CommandStream(Response):
    """Sends events until the device goes, the hub closes the stream, or the server stops."""

    media_type = "text/event-stream"

    def __init__(self, cloud: Cloud, cloud_id: str, device: Device) -> None:
        self.status_code = 200
        self.background = None
        self._cloud = cloud
        self._cloud_id = cloud_id
        self._device = device
        # proxies must neither keep nor gather what is sent
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        device_key = self._device.device_key
        with self._cloud.hub.subscribe(self._device) as subscription:
            log.info("stream opened", device=device_key, duplicate=subscription.duplicate)
            self._cloud.journal.mark_seen(device_key)
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._until_gone, receive, tasks.cancel_scope)
                    await self._send(subscription, send)
                    tasks.cancel_scope.cancel()
            finally:
                log.info("stream closed", device=device_key)
                self._cloud.journal.mark_seen(device_key)

    async def _until_gone(self, receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async def _send(self, subscription: Subscription, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async with aclosing(events(self._cloud, self._cloud_id, self._device, subscription)) as chunks:
                async for chunk in chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except DATABASE_ERRORS as error:
            # ended, not broken: the device comes back and everything that waits is sent again
            log.warning("stream ended: the database failed", device=self._device.device_key, error=str(error)[:200])
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def events(cloud: Cloud, cloud_id: str, device: Device, subscription: Subscription) -> AsyncGenerator[bytes]:
    """Every chunk of one stream: `connected`, what waits, then commands as they come and a ping now and then.

    The subscription is older than the first read, so nothing falls between the two. Database connections are
    held for the reads only.
    """
    # finished even where the device has gone: cut off in the middle, it would leave half a connection in the pool
    with anyio.CancelScope(shield=True):
        async with cloud.database.reading() as connection:
            now = await devices.find(connection, device.device_key)  # it may have changed since it was let in
    if now is None or not still_welcome(device, now, cloud.settings.auth):
        return
    subscription.config = now.config
    ping_every = cloud.settings.ping_every
    yield event(
        Connected(
            device_id=device.device_id,
            cloud_id=cloud_id,
            server_time=cloud.now(),
            ping_every=ping_every,
            duplicate=subscription.duplicate,
            config=now.config,
            accepts=(JPEG,),
            succeeds=cloud.settings.succeeds,
        )
    )
    last_seq = 0
    commands = 0
    next_ping = time.monotonic() + ping_every
    while not subscription.closed:
        with anyio.CancelScope(shield=True):  # as above
            async with cloud.database.reading() as connection:
                batch = await triggers.waiting(connection, device.device_key, last_seq, cloud.now(), _BATCH)
        sent = []
        for row in batch:
            last_seq = row.seq
            if row.kind not in triggers.KINDS:  # left as it is: sent by a release that knows it, or expired
                log.error("a kind this release does not know, not sent", trigger_id=row.trigger_id, kind=row.kind)
                continue
            if row.kind == "update_config":
                subscription.config = row.config
            yield command(row)
            sent.append(row.seq)
            commands += 1
            if subscription.closed:
                break
        if sent:
            cloud.journal.mark_sent(sent)
        if len(batch) == _BATCH:
            continue
        if await subscription.wait(next_ping - time.monotonic()) or subscription.closed:
            continue
        yield event(Ping(server_time=cloud.now(), last_id=str(last_seq) if last_seq else None, sent=commands))
        next_ping = time.monotonic() + ping_every


def command(row: Trigger) -> bytes:
    """A trigger as the device reads it."""
    match row.kind:
        case "update_config":
            return event(UpdateConfigCommand(trigger_id=row.trigger_id, config=row.config or {}), row.seq)
        case "capture":
            asked_for = CaptureCommand(
                trigger_id=row.trigger_id, type=row.type, issued_at=row.created_at, expires_at=row.expires_at
            )
            return event(asked_for, row.seq)
        case other:
            assert_never(other)


def event(message: BaseModel, seq: int | None = None) -> bytes:
    """One SSE event. Old clients read line by line, so the whole object is one `data:` line."""
    data = f"data: {message.model_dump_json(exclude_none=True)}\n\n"
    return (data if seq is None else f"id: {seq}\n{data}").encode()
