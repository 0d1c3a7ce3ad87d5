"""What a message says: a line, a text for people and the same as data for programs. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NotRequired

from typing_extensions import TypedDict  # pydantic takes the standard library's from Python 3.12 on

from visant_cloud.alerts.kinds import KINDS
from visant_cloud.alerts.telling import Message
from visant_cloud.store.alerts import Alert
from visant_cloud.times import Time, time, time_or_none

_LISTED = 50
"""Alerts that a text names one by one."""
_IN_DATA = 200
_SUBJECTS = {"cloud": "the cloud", "channel": "a channel", "token": "a token"}
"""`/channel/7` -> words."""
_PREFIX = {"opened": "Alert", "cleared": "Recovered"}


class AlertData(TypedDict):
    """An alert as programs read it."""

    alert_id: int
    kind: str
    title: str
    device_id: str | None
    site: str | None
    since: Time | None
    opened_at: Time
    cleared_at: Time | None
    acknowledged_at: Time | None
    acknowledged_by: str | None
    note: str | None
    detail: str
    remedy: str
    link: NotRequired[str]


@dataclass(frozen=True)
class Words:
    """As they are kept in the outbox."""

    type: str
    title: str
    text: str
    data: dict[str, Any]


def of_message(message: Message, public_url: str | None) -> Words:
    """About alerts that opened, or that are over."""
    everyone = message.alerts
    lines = []
    for one in everyone[:_LISTED]:
        since = "" if one.since is None else f", since {_minute(one.since)}"
        lines.append(f"{who(one)}: {title(one.kind)}{since}" + (f" ({one.detail})" if one.detail else ""))
    if len(everyone) > _LISTED:
        lines.append(f"and {len(everyone) - _LISTED} more")
    if message.type == "opened":
        lines += ["", *(f"What to do: {remedy}" for remedy in dict.fromkeys(one.remedy for one in everyone[:_LISTED]))]
    if message.still_open:
        names = ", ".join(who(one) for one in message.still_open[:_LISTED])
        lines += ["", f"Not yet: {len(message.still_open)}: {names}"]
    lines += _link(everyone, public_url)
    data = {
        "alerts": [as_data(one, public_url) for one in everyone[:_IN_DATA]],
        "count": len(everyone),
        "still_open": len(message.still_open),
    }
    return Words(f"alert.{message.type}", _title(message), "\n".join(lines), data)


def of_test(channel: str, public_url: str | None) -> Words:
    """What the test button sends."""
    text = f"This is a test of the channel {channel!r}. Alerts will come the same way."
    return Words(
        "alert.test", f"Test: {channel}", "\n".join([text, *_link([], public_url)]), {"alerts": [], "count": 0}
    )


def of_summary(day: str, recent: Sequence[Alert], now_open: Sequence[Alert], public_url: str | None) -> Words:
    """A day's summary: what is open, and how much there was."""
    seen = sum(1 for one in now_open if one.acknowledged_at is not None)
    headline = f"{len(now_open)} open ({seen} acknowledged), {len(recent)} in the last 24 hours"
    lines = [headline, ""]
    lines += [
        f"{who(one)}: {title(one.kind)}, since {_minute(one.since or one.opened_at)}" for one in now_open[:_LISTED]
    ]
    if len(now_open) > _LISTED:
        lines.append(f"and {len(now_open) - _LISTED} more")
    counted = Counter(title(one.kind) for one in recent)
    lines += ["", *(f"{count} x {name}" for name, count in counted.most_common())]
    lines += _link([], public_url)
    data = {
        "day": day,
        "open": len(now_open),
        "recent": len(recent),
        "alerts": [as_data(one, public_url) for one in now_open[:_IN_DATA]],
    }
    return Words("alert.summary", f"Summary of {day}: {headline}", "\n".join(lines), data)


def who(alert: Alert) -> str:
    """Whom an alert is about, for people."""
    if alert.device_id is not None:
        return alert.device_id
    return _SUBJECTS.get(alert.subject.split("/")[1], alert.subject)


def title(kind: str) -> str:
    """A kind in words; a kind of another version by its name."""
    return KINDS[kind].title if kind in KINDS else kind


def _title(message: Message) -> str:
    prefix = _PREFIX[message.type]
    kinds = list(dict.fromkeys(title(one.kind) for one in message.alerts))
    said = kinds[0] if len(kinds) == 1 else f"{len(kinds)} kinds of trouble"
    if len(message.alerts) == 1:
        return f"{prefix}: {who(message.alerts[0])}: {said}"
    devices = len({one.subject for one in message.alerts})
    sites = {one.site for one in message.alerts}
    at = f" at {next(iter(sites))}" if len(sites) == 1 and None not in sites else ""
    back = f", {len(message.still_open)} not yet" if message.still_open else ""
    return f"{prefix}: {devices} devices{at}: {said}{back}"


def _link(alerts: Sequence[Alert], public_url: str | None) -> list[str]:
    if public_url is None:
        return []
    devices = {one.device_id for one in alerts}
    only = next(iter(devices)) if len(devices) == 1 else None
    return ["", public_url + "/" if only is None else f"{public_url}/devices/{only}"]


def as_data(alert: Alert, public_url: str | None) -> AlertData:
    """With a link to the page of its device, where this cloud knows its own address."""
    found: AlertData = {
        "alert_id": alert.alert_id,
        "kind": alert.kind,
        "title": title(alert.kind),
        "device_id": alert.device_id,
        "site": alert.site,
        "since": time_or_none(alert.since),
        "opened_at": time(alert.opened_at),
        "cleared_at": time_or_none(alert.cleared_at),
        "acknowledged_at": time_or_none(alert.acknowledged_at),
        "acknowledged_by": alert.acknowledged_by,
        "note": alert.note,
        "detail": alert.detail,
        "remedy": alert.remedy,
    }
    if public_url is not None and alert.device_id is not None:
        found["link"] = f"{public_url}/devices/{alert.device_id}"
    return found


def as_payload(type_: str, at: datetime, title_: str, text: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """What a program is sent: `type`, `timestamp`, `data`, as the Standard Webhooks specification proposes."""
    return {"type": type_, "timestamp": time(at), "data": {"title": title_, "text": text, **data}}


def _minute(value: datetime) -> str:
    return value.strftime("%Y-%m-%d %H:%M UTC")
