"""Alerts, channels, deliveries and silences as the API answers them. A channel's secret is in none of it."""

from typing import Literal

from visant_cloud.alerts import words
from visant_cloud.store.alerts import Alert, Silence
from visant_cloud.store.channels import DEAD, Channel
from visant_cloud.store.deliveries import Delivery, Notice
from visant_cloud.store.keys import device_id_of
from visant_cloud.times import time, time_or_none
from visant_cloud.views.answers import AlertRow, ChannelRow, DeliveryRow, SilenceRow


def alert(row: Alert) -> AlertRow:
    """One alert."""
    return {
        **words.as_data(row, None),
        "subject": row.device_id or row.subject,
        "told": row.opened_notice_id is not None,
    }


def silence(row: Silence) -> SilenceRow:
    """One silence."""
    return {
        "silence_id": row.silence_id,
        "device_id": None if row.device_key is None else device_id_of(row.device_key),
        "site": row.site,
        "kind": row.kind,
        "until": time(row.until),
        "note": row.note,
        "created_by": row.created_by,
        "created_at": time(row.created_at),
    }


def channel(row: Channel) -> ChannelRow:
    """One channel. `state`: `off`, `dead`, `failing`, `ok`, or `new` until something was sent."""
    state: Literal["new", "ok", "failing", "dead", "off"]
    if not row.active:
        state = "off"
    elif row.failures:
        state = "dead" if row.failures >= DEAD else "failing"
    else:
        state = "new" if row.last_at is None else "ok"
    return {
        "channel_id": row.channel_id,
        "type": row.type,
        "name": row.name,
        "target": row.target,
        "kinds": row.kinds,
        "active": row.active,
        "state": state,
        "failures": row.failures,
        "last_answer": row.last_answer,
        "last_at": time_or_none(row.last_at),
        "created_at": time(row.created_at),
    }


def delivery(row: Delivery, notice: Notice) -> DeliveryRow:
    """One message on its way, or at its end."""
    return {
        "delivery_id": row.delivery_id,
        "status": row.status,
        "type": notice.type,
        "title": notice.title,
        "text": notice.text,
        "attempts": row.attempts,
        "answer": row.answer,
        "created_at": time(row.created_at),
        "next_at": time(row.next_at) if row.ended_at is None else None,
        "ended_at": time_or_none(row.ended_at),
    }
