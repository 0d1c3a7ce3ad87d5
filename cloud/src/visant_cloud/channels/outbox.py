"""Outbox: takes what is due to the channels, and tries again what was not taken.

Every process runs one; a delivery is claimed before it is sent. A process that dies over it leaves it to the next
attempt, so a message may come twice: both carry the same id.
"""

import asyncio
import random
from datetime import timedelta

import structlog

from visant_cloud.alerts import words
from visant_cloud.channels import email, webhook
from visant_cloud.channels.answer import Answer
from visant_cloud.context import Cloud
from visant_cloud.database.engine import DATABASE_ERRORS
from visant_cloud.database.json_values import to_json
from visant_cloud.store import channels, deliveries
from visant_cloud.store.deliveries import Parcel
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

log = structlog.get_logger()

TICK = 2.0
"""Seconds between rounds."""
WAITS = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0)
"""Seconds before the next attempt, after the first, the second, ...: given up after 8 attempts and 3.7 hours. An alert
that comes a day late helps nobody; it stays on the page and in the log of deliveries."""
AT_ONCE = 20
_CLAIM = timedelta(seconds=120)
_FURTHEST = timedelta(seconds=2 * max(WAITS))
LOOP = "outbox"


def wait_after(attempts: int, share: float) -> float | None:
    """Seconds until the next attempt, None: given up. `share` of 0 to 1 spreads it by a fifth. Pure."""
    return None if attempts > len(WAITS) else WAITS[attempts - 1] * (0.9 + 0.2 * share)


class Outbox:
    """One per process."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Until the end."""

        async def work() -> None:
            while await self.send_due() == AT_ONCE and not stop.is_set():
                heartbeat.beat(LOOP)

        await every(
            TICK,
            work,
            stop,
            heartbeat,
            loop=LOOP,
            max_age=180.0,
            survives=DATABASE_ERRORS,
            complaint="messages not sent",
        )

    async def send_due(self) -> int:
        """One round; returns how many were tried."""
        cloud = self._cloud
        if not await deliveries.any_due(cloud.database, cloud.now(), _FURTHEST):
            return 0
        async with cloud.database.writing() as connection:
            parcels = await deliveries.claim(connection, cloud.now(), _FURTHEST, _CLAIM, AT_ONCE)
        answers = await asyncio.gather(*(self._send(parcel) for parcel in parcels))
        for parcel, answer in zip(parcels, answers, strict=True):
            await self._note(parcel, answer)
        return len(parcels)

    async def _send(self, parcel: Parcel) -> Answer:
        if not parcel.channel.active:
            return Answer(False, "not sent: the channel is off")
        try:
            return await self._by_type(parcel)
        except Exception as error:  # noqa: BLE001 - one message must not hold up all others; the log says which
            log.error("a message cannot be sent", delivery=parcel.delivery.delivery_id, error=repr(error)[:300])
            return Answer(False, f"a fault of the cloud: {type(error).__name__}")

    async def _by_type(self, parcel: Parcel) -> Answer:
        cloud, channel, notice = self._cloud, parcel.channel, parcel.notice
        message_id = f"{cloud.cloud_id[:12]}.{parcel.delivery.delivery_id}"
        if channel.type == "webhook":
            payload = words.as_payload(notice.type, notice.created_at, notice.title, notice.text, notice.data)
            return await webhook.send(
                channel.target,
                channel.secret or "",
                f"msg_{message_id}",
                int(cloud.now().timestamp()),
                to_json(payload).encode(),
                allow_private=cloud.settings.alert_allow_private,
            )
        if channel.type == "apprise":
            allowed = cloud.settings.alert_allow_private
            return await cloud.apprise.send(channel.secret or "", notice.title, notice.text, allow_private=allowed)
        server = cloud.settings.smtp_server()
        if server is None or cloud.settings.mail_from is None:
            return Answer(False, "not sent: this cloud has no SMTP_URL and MAIL_FROM")
        to, sender = email.addresses(channel.target), cloud.settings.mail_from
        mail = email.message(sender, to, notice.title, notice.text, message_id, notice.created_at)
        return await email.send(server, mail, sender, to)

    async def _note(self, parcel: Parcel, answer: Answer) -> None:
        cloud, delivery = self._cloud, parcel.delivery
        now = cloud.now()
        wait = wait_after(delivery.attempts, random.random())
        async with cloud.database.writing() as connection:
            await channels.note_answer(connection, parcel.channel.channel_id, answer.taken, answer.text, now)
            if answer.taken or wait is None:
                await deliveries.end(connection, delivery.delivery_id, answer.taken, answer.text, now)
            else:
                await deliveries.put_off(connection, delivery.delivery_id, answer.text, now + timedelta(seconds=wait))
        if answer.taken:
            log.info("message delivered", channel=parcel.channel.name, notice=parcel.notice.notice_id)
        else:
            log.warning(
                "message not delivered",
                channel=parcel.channel.name,
                notice=parcel.notice.notice_id,
                answer=answer.text,
                attempts=delivery.attempts,
                given_up=wait is None,
            )
