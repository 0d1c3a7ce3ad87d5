"""The stream on which a device gets its commands: what is said on it, in which order, and when it ends.

A plain ASGI function with one task a stream, which is the request's own, and without the framework's stacks and
groups: ten thousand of them are open at once. Waiting costs one future, which the loader, the hub or the end of the
connection resolves; pings come from one task for all (pings.py).
"""

import random
from typing import assert_never

import structlog
from pydantic import BaseModel
from starlette.types import Scope, Send

from visant_cloud.commands.subscription import Subscription
from visant_cloud.context import Cloud
from visant_cloud.metrics import CONNECTS, SENT
from visant_cloud.store import triggers
from visant_cloud.store.devices import Device
from visant_cloud.store.stream_reads import Waiting
from visant_cloud.store.triggers import Kind, Trigger
from visant_contract.capture import JPEG
from visant_contract.command import CaptureCommand, UpdateConfigCommand
from visant_contract.sse import Connected

log = structlog.get_logger()

CONNECTION = "visant.connection"
"""Key of the scope: the connection (connections.py) that a request came by."""
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    # proxies must neither keep nor gather what is sent
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_RETRY = 2_000, 10_000
"""Milliseconds within which a client that honours `retry:` comes back; each stream tells another number."""


async def stream(cloud: Cloud, cloud_id: str, device: Device, ping_every: float, scope: Scope, send: Send) -> None:
    """Sends events until the device goes, the hub closes the stream, or the server stops.

    The subscription is older than the first read, so nothing falls between the two. `device` is as it was when it
    was let in.
    """
    subscription = cloud.hub.open(device)
    subscription.ping_every = ping_every
    subscription.send = send
    # a device that asks for few pings may be slow to acknowledge one: the limit is two pings, as for all others
    own = None if ping_every == cloud.settings.ping_every else 2 * ping_every
    scope[CONNECTION].watch(subscription, user_timeout=own)
    structlog.contextvars.bind_contextvars(device=subscription.device_key)
    log.info("stream opened", duplicate=subscription.duplicate)
    CONNECTS.inc()
    cloud.journal.mark_seen(subscription.device_key)
    try:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await _send(subscription, connected(cloud, cloud_id, device, subscription))
        del device
        cloud.pings.add(subscription)
        cloud.hub.ask(subscription)
        while await subscription.wait():
            await _send_rows(cloud, subscription)
        if not subscription.gone:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        scope[CONNECTION].watch(None)
        cloud.hub.leave(subscription)
        cloud.journal.mark_seen(subscription.device_key)
        log.info("stream closed")


async def _send(subscription: Subscription, chunk: bytes) -> None:
    await subscription.send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _send_rows(cloud: Cloud, subscription: Subscription) -> None:
    """What the loader has read for this stream; then it asks for more where there may be more."""
    sent = []
    for row in subscription.rows:
        if row.kind not in triggers.KINDS:  # left as it is: sent by a release that knows it, or expired
            log.error("a kind this release does not know, not sent", trigger_id=row.trigger_id, kind=row.kind)
            continue
        if row.kind == "update_config":
            subscription.config = row.config
        await _send(subscription, command(row))
        if subscription.gone:
            break
        log.info("trigger sent", trigger_id=row.trigger_id)
        SENT.inc()
        subscription.last_id = row.seq
        subscription.commands += 1
        sent.append(row.seq)
        if subscription.closed:
            break
    if sent:
        cloud.journal.mark_sent(sent)
    subscription.rows = ()
    if subscription.more:
        subscription.more = False
        cloud.hub.ask(subscription)


def connected(cloud: Cloud, cloud_id: str, device: Device, subscription: Subscription) -> bytes:
    """The first event. Its first line is the `data:` line: old clients read no other."""
    told = Connected(
        device_id=device.device_id,
        cloud_id=cloud_id,
        server_time=cloud.now(),
        ping_every=subscription.ping_every,
        duplicate=subscription.duplicate,
        config=device.config,
        accepts=(JPEG,),
        succeeds=cloud.settings.succeeds,
    )
    return b"%bretry: %d\n\n" % (event(told).removesuffix(b"\n"), random.randint(*_RETRY))


def command(row: Trigger | Waiting) -> bytes:
    """A trigger as the device reads it."""
    kind: Kind = row.kind  # type: ignore[assignment]
    match kind:
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
