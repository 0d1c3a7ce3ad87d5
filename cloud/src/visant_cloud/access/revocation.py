"""Who may stay: ends the streams of devices that were barred, revoked or given another token, whoever changed it.

Streams that missed settings, put through another process as they began, end too: the next `connected` has them.

Read for all streams together, in pieces: a thousand streams that each read for themselves cost a sixth of a core, and
one read of ten thousand rows holds up everything else.
"""

import time

import structlog

from visant_cloud.commands.subscription import Subscription
from visant_cloud.context import Cloud
from visant_cloud.database.engine import DATABASE_ERRORS
from visant_cloud.store import access_changes, stream_reads
from visant_cloud.store.stream_reads import Welcome
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

log = structlog.get_logger()

EVERY = 0.5
"""Seconds between two looks whether anything changed: at most so much later, and what reading takes, a change by
another process or a command takes hold."""
_ALL_EVERY = 5.0
"""Seconds between two reads of all streams' devices where nothing did: settings that a stream missed."""
LOOP = "revocation"
_AT_ONCE = 500


def still_welcome(stream: Subscription, now: Welcome, auth: str) -> bool:
    """Whether an open stream may go on."""
    if not now.active:
        return False
    if auth == "open":
        return True
    if stream.by_id_alone and not now.by_id_alone:
        return False
    return not now.token_revoked and now.token_hash == stream.token_hash


class Revocation:
    """One per process. A look is one read of one row, whatever the number of devices."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._last: str | None = None
        self._read_at = 0.0

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Until the end."""
        await every(
            EVERY,
            self.look,
            stop,
            heartbeat,
            loop=LOOP,
            max_age=60.0,
            survives=DATABASE_ERRORS,
            complaint="streams not checked",
        )

    async def look(self) -> None:
        """Checks the streams where something changed, and now and then in any case."""
        last = await access_changes.last(self._cloud.database)
        if last != self._last:
            self._cloud.hub.changed_somewhere()  # streams and uploads that are being let in ask once more
        elif time.monotonic() - self._read_at < _ALL_EVERY:
            return
        await check_streams(self._cloud)
        await self._cloud.events.check()
        self._last, self._read_at = last, time.monotonic()


async def check_streams(cloud: Cloud) -> None:
    """Ends those open streams of this process that may not go on."""
    streams = cloud.hub.subscriptions()
    for start in range(0, len(streams), _AT_ONCE):
        part = streams[start : start + _AT_ONCE]
        now = await stream_reads.welcome(cloud.database, {stream.device_key for stream in part})
        for stream in part:
            device = now.get(stream.device_key)
            if device is None or not still_welcome(stream, device, cloud.settings.auth):
                log.info("stream ended: the device is no longer welcome", device=stream.device_key)
                stream.close()
            elif stream.config != device.config and not cloud.hub.is_reading(stream):
                log.info("stream ended: it missed settings", device=stream.device_key)
                stream.close()
