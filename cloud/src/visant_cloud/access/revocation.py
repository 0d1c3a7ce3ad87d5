"""Who may stay: ends the streams of devices that were barred, revoked or given another token, whoever changed it.

Streams that missed settings, put through another process as they began, end too: the next `connected` has them.

One read for all streams: a thousand streams that each read for themselves cost a sixth of a core.
"""

from functools import partial

import structlog

from visant_cloud.context import Cloud
from visant_cloud.store import devices
from visant_cloud.store.database import DATABASE_ERRORS
from visant_cloud.store.devices import Device
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

log = structlog.get_logger()

LOOP = "revocation"


def still_welcome(before: Device, now: Device, auth: str) -> bool:
    """Whether an open stream that began as `before` may go on."""
    if not now.active:
        return False
    if auth == "open":
        return True
    if before.by_id_alone and not now.by_id_alone:
        return False
    return not now.token_revoked and now.token_hash == before.token_hash


async def run(cloud: Cloud, stop: Stop, heartbeat: Heartbeat) -> None:
    """Until the end, a round every PING_EVERY seconds."""
    pause = cloud.settings.ping_every
    await every(
        pause,
        partial(check_streams, cloud),
        stop,
        heartbeat,
        loop=LOOP,
        max_age=60.0 + 3 * pause,
        survives=DATABASE_ERRORS,
        complaint="streams not checked",
    )


async def check_streams(cloud: Cloud) -> None:
    """Ends those open streams of this process that may not go on."""
    streams = cloud.hub.subscriptions()
    if not streams:
        return
    async with cloud.database.reading() as connection:
        now = {device.device_key: device for device in await devices.everyone(connection)}
    for stream in streams:
        device = now.get(stream.device.device_key)
        if device is None or not still_welcome(stream.device, device, cloud.settings.auth):
            log.info("stream ended: the device is no longer welcome", device=stream.device.device_key)
            stream.close()
        elif stream.config != device.config:
            log.info("stream ended: it missed settings", device=stream.device.device_key)
            stream.close()
