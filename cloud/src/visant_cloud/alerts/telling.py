"""Which messages are due: one for a site, one when all of it is back, none at night. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from visant_cloud.alerts.kinds import KINDS
from visant_cloud.store.alerts import Alert

SITE_WINDOW = 60.0
"""Seconds that the first alert of a site waits for the others: pings notice a dead router within 40 s, each its own."""
BACK_WINDOW = 300.0
"""Seconds after which it is told who is back, where others of the same message are not."""
TOGETHER = 10
"""More messages at once than this, of one organisation, become one."""


@dataclass(frozen=True)
class Message:
    """One message that is due."""

    type: Literal["opened", "cleared"]
    organisation_id: str
    alerts: list[Alert]
    still_open: list[Alert] = field(default_factory=list)
    """Of `cleared`: those of the same message that are not over."""


@dataclass(frozen=True)
class Plan:
    """What to do about alerts of which something is to be told."""

    messages: list[Message]
    unsaid: list[Alert]
    """Over, and nobody is told: they are silenced."""


def plan(
    alerts: Iterable[Alert],
    now: datetime,
    silenced: Callable[[Alert], bool] = lambda _: False,
    quiet: Callable[[str], bool] = lambda _: False,
) -> Plan:
    """Of all alerts that are not done. `quiet(organisation_id)`: nobody there is to be told of anything now.

    What is silenced, or quiet, is told later where it is still so.
    """
    everyone = [one for one in alerts if not quiet(one.organisation_id)]
    opened = [
        one
        for one in everyone
        if one.cleared_at is None
        and one.opened_notice_id is None
        and one.acknowledged_at is None  # somebody knows
        and not silenced(one)
    ]
    told = [one for one in everyone if one.opened_notice_id is not None]
    unsaid = [one for one in told if one.cleared_at is not None and silenced(one)]
    over = {one.alert_id for one in unsaid}
    messages = [Message("opened", group[0].organisation_id, group) for group in _opened(opened, now)]
    messages += _cleared([one for one in told if one.alert_id not in over], now)
    return Plan(_together(messages), unsaid)


def _opened(alerts: list[Alert], now: datetime) -> list[list[Alert]]:
    groups: dict[tuple[object, ...], list[Alert]] = {}
    for one in alerts:
        shared = one.site is not None and KINDS[one.kind].by_site if one.kind in KINDS else False
        of_site = (one.organisation_id, one.kind, one.site)
        groups.setdefault(of_site if shared else (one.alert_id,), []).append(one)
    return [group for of, group in groups.items() if len(of) == 1 or _waited(group, now)]


def _waited(group: list[Alert], now: datetime) -> bool:
    return not 0 <= (now - min(one.opened_at for one in group)).total_seconds() < SITE_WINDOW


def _cleared(told: list[Alert], now: datetime) -> list[Message]:
    groups: dict[int | None, list[Alert]] = {}
    for one in told:
        groups.setdefault(one.opened_notice_id, []).append(one)
    messages = []
    for group in groups.values():
        back = [one for one in group if one.cleared_at is not None]
        still = [one for one in group if one.cleared_at is None]
        times = [one.cleared_at for one in back if one.cleared_at is not None]
        if times and (not still or not 0 <= (now - min(times)).total_seconds() < BACK_WINDOW):
            messages.append(Message("cleared", group[0].organisation_id, back, still))
    return messages


def _together(messages: list[Message]) -> list[Message]:
    found: list[Message] = []
    for organisation_id in dict.fromkeys(one.organisation_id for one in messages):
        for type_ in ("opened", "cleared"):
            mine = [one for one in messages if (one.organisation_id, one.type) == (organisation_id, type_)]
            if len(mine) > TOGETHER:
                all_of = [alert for one in mine for alert in one.alerts]
                still = [alert for one in mine for alert in one.still_open]
                mine = [Message(mine[0].type, organisation_id, all_of, still)]
            found += mine
    return found
