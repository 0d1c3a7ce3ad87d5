"""AlertRounds: looks at the fleet every few seconds, opens and clears alerts, puts what is to be told into the outbox.

One process at a time does it (store/leases.py); another takes over when that one is gone, and begins to watch anew.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.alerts import certificate, kinds, telling, words
from visant_cloud.alerts.engine import AlertEngine, Change, Cleared, Key, News, Opened
from visant_cloud.alerts.kinds import KINDS
from visant_cloud.alerts.rules import DEFAULT, Rules
from visant_cloud.alerts.states import Cause, State
from visant_cloud.alerts.words import Words
from visant_cloud.context import Cloud
from visant_cloud.database.engine import DATABASE_ERRORS
from visant_cloud.events import types
from visant_cloud.events.types import Note
from visant_cloud.store import (
    alert_facts,
    alert_rules,
    channels,
    deliveries,
    device_counts,
    device_states,
    events,
    expiring_tokens,
    leases,
)
from visant_cloud.store import alerts as kept
from visant_cloud.store.alerts import Alert, Silence
from visant_cloud.store.channels import Channel
from visant_cloud.store.expiring_tokens import ExpiringToken
from visant_cloud.store.keys import DEFAULT_ORGANISATION
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

log = structlog.get_logger()

TICK = 5.0
"""Seconds between rounds."""
SHARE = 0.05
"""Of the time that rounds may take: after a long one the rest is longer."""
LONGEST_REST = 30.0
"""Seconds: a machine that is busy with others tells late, and not never."""
LEASE = timedelta(seconds=20)
SLOWLY = 30.0
"""Seconds between looks at what seldom changes: rules, dead channels, the disk."""
COUNT_EVERY = 15.0
"""Seconds between two counts of devices by state, for /metrics."""
LOOP = "alerts"
_LEASE = "alerts"
_TOGETHER = 200
"""Devices of whose states one transaction tells."""


class AlertRounds:
    """One per process."""

    def __init__(self, cloud: Cloud, process_id: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._cloud = cloud
        self._process_id = process_id
        self._monotonic = monotonic
        self._engine: AlertEngine | None = None
        self._rules: dict[str, Rules] = {}
        self._dead: list[Channel] = []
        self._tokens: list[ExpiringToken] = []
        self._summarised: dict[str, str] = {}
        self._next_slow = self._next_round = self._next_count = float("-inf")
        self._counted: tuple[float, dict[str, dict[State, int]]] = float("-inf"), {}

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Until the end."""
        await every(
            TICK,
            self._round_in_time,
            stop,
            heartbeat,
            loop=LOOP,
            max_age=120.0,
            survives=DATABASE_ERRORS,
            complaint="alerts not looked at",
        )
        await self.leave()

    async def leave(self) -> None:
        """Another process may take over at once."""
        if self._engine is None or self._cloud.database.sqlite:
            return
        self._engine = None
        try:
            async with self._cloud.database.writing() as connection:
                await leases.let_go(connection, _LEASE, self._process_id)
        except DATABASE_ERRORS:
            pass  # it ends by itself

    async def _round_in_time(self) -> None:
        began = self._monotonic()
        if began < self._next_round:
            return
        await self.round()
        took = self._monotonic() - began
        self._next_round = began + min(took / SHARE, LONGEST_REST)

    async def round(self) -> list[Change]:
        """One look; returns what it changed. Raises what the database raises: the next round finds the same again."""
        cloud = self._cloud
        if not await leases.hold(cloud.database, _LEASE, self._process_id, LEASE):
            self._engine = None
            return []
        if self._engine is None:
            self._engine = AlertEngine()
            self._next_slow = self._next_count = float("-inf")
            self._counted = float("-inf"), {}
        at, now = self._monotonic(), cloud.now()
        if at >= self._next_slow:
            self._rules = await alert_rules.everyone(cloud.database)
            self._dead = await channels.dead(cloud.database)
            self._tokens = await expiring_tokens.everyone(cloud.database)
            self._next_slow = at + SLOWLY
        connected = frozenset(cloud.hub.connected())
        unknown = self._engine.unknown(await alert_facts.heads(cloud.database))
        told = await alert_facts.told(cloud.database, unknown) if unknown else []
        alerts = await kept.not_done(cloud.database)
        open_ = {one.key for one in alerts if one.cleared_at is None}
        changes = self._engine.step(now, at, told, connected, open_, self._rules, self._others(now))
        await self._store(changes, alerts, now)
        await self._tell_states(self._engine, now)
        if at >= self._next_count:
            self._next_count = at + COUNT_EVERY
            await self._count(self._engine, at, now)
        return changes

    async def _tell_states(self, engine: AlertEngine, now: datetime) -> None:
        """Events of devices that came, went or are otherwise than told, some at a time."""
        while news := engine.news(_TOGETHER):
            async with self._cloud.database.writing() as connection:
                stated = {one.device_key: one.now._asdict() for one in news}
                await device_states.put_stated(connection, stated)
                await events.note(connection, *(note for one in news for note in _notes(one, now)))
            engine.stated(news)

    async def _count(self, engine: AlertEngine, at: float, now: datetime) -> None:
        counts = engine.counts()
        told_at, told = self._counted
        if counts == told and at - told_at < device_counts.FRESH.total_seconds() / 3:
            return
        async with self._cloud.database.writing() as connection:
            await device_counts.put(connection, counts, now)
        self._counted = at, counts

    def _others(self, now: datetime) -> dict[Key, Cause]:
        """What is wrong with the cloud itself."""
        found = {
            Key(one.organisation_id, one.subject, kinds.CHANNEL_DEAD): Cause(
                kinds.CHANNEL_DEAD,
                one.last_at,
                f"{one.name}: {one.last_answer or 'no answer'}"[:300],
                KINDS[kinds.CHANNEL_DEAD].remedy,
            )
            for one in self._dead
        }
        least, what = self._cloud.settings.min_free_bytes, None
        try:
            free = self._cloud.pictures.free_bytes()
        except OSError as error:  # whose disk is gone must hear of it, and of all other alerts
            what = f"DATA_DIR cannot be read: {error.strerror or error}"
        else:
            if free is not None and free < 2 * least:
                what = f"{free / 2**20:.0f} MiB free; below {least / 2**20:.0f} no picture is taken in"
        if what is not None:
            key = Key(DEFAULT_ORGANISATION, "/cloud", kinds.CLOUD_DISK)
            found[key] = Cause(kinds.CLOUD_DISK, None, what, KINDS[kinds.CLOUD_DISK].remedy)
        served = self._cloud.certificate
        if served is not None and (what := certificate.soon_over(served.begin, served.end, now)):
            key = Key(DEFAULT_ORGANISATION, "/cloud", kinds.CERTIFICATE)
            found[key] = Cause(kinds.CERTIFICATE, None, what, KINDS[kinds.CERTIFICATE].remedy)
        for one in self._tokens:
            if what := certificate.soon_over(one.created_at, one.expires_at, now):
                key = Key(one.organisation_id, one.subject, kinds.TOKEN)
                found[key] = Cause(kinds.TOKEN, None, f"{one.name}: {what}", KINDS[kinds.TOKEN].remedy)
        return found

    async def _store(self, changes: list[Change], alerts: list[Alert], now: datetime) -> None:
        summaries = {name: day for name, one in self._rules.items() if (day := _summary_day(one, now)) is not None}
        summaries = {name: day for name, day in summaries.items() if self._summarised.get(name) != day}
        if not changes and not summaries:
            if not any(_untold(one) for one in alerts):
                return
            async with self._cloud.database.reading() as connection:
                silences = await kept.silences_of(connection, now)
                here = await channels.active(connection)
            plan = self._plan(alerts, silences, here, now)
            if not plan.messages and not plan.unsaid:
                return
        async with self._cloud.database.writing() as connection:
            opened = await kept.open_alerts(connection, [one for one in changes if isinstance(one, Opened)], now)
            cleared = await kept.clear_alerts(connection, [one for one in changes if isinstance(one, Cleared)], now)
            await events.note(
                connection,
                *(types.alert(types.ALERT_OPENED, one, now) for one in opened),
                *(types.alert(types.ALERT_CLEARED, one, now) for one in cleared),
            )
            alerts = await kept.not_done_locked(connection)
            silences = await kept.silences_of(connection, now)
            here = await channels.active(connection)
            plan = self._plan(alerts, silences, here, now)
            for message in plan.messages:
                await self._tell(connection, message, here, now)
            if plan.unsaid:
                await kept.note_cleared(connection, [one.alert_id for one in plan.unsaid], None, now)
            for organisation_id, day in summaries.items():
                await self._summarise(connection, organisation_id, day, alerts, here, now)
        self._summarised |= summaries
        for change in changes:
            what = "alert opened" if isinstance(change, Opened) else "alert cleared"
            detail = {"detail": change.cause.detail} if isinstance(change, Opened) else {}
            log.info(what, kind=change.key.kind, subject=change.key.subject, **detail)

    def _plan(
        self, alerts: list[Alert], silences: list[Silence], here: dict[str, list[Channel]], now: datetime
    ) -> telling.Plan:
        return telling.plan(
            [one for one in alerts if one.organisation_id in here],  # who has no channel yet is told when there is one
            now,
            lambda one: any(silence.covers(one, now) for silence in silences),
            lambda organisation_id: self._rules.get(organisation_id, DEFAULT).quiet(now),
        )

    async def _tell(
        self, connection: AsyncConnection, message: telling.Message, here: dict[str, list[Channel]], now: datetime
    ) -> None:
        about, subjects = {one.kind for one in message.alerts}, {one.subject for one in message.alerts}
        # a dead channel is not told of itself
        to = [one for one in here[message.organisation_id] if one.wants(about) and one.subject not in subjects]
        said = words.of_message(message, self._cloud.settings.public_url)
        notice_id = await _add(connection, message.organisation_id, to, said, now)
        alert_ids = [one.alert_id for one in message.alerts]
        if message.type == "opened":
            await kept.note_opened(connection, alert_ids, notice_id)
        else:
            await kept.note_cleared(connection, alert_ids, notice_id, now)

    async def _summarise(
        self,
        connection: AsyncConnection,
        organisation_id: str,
        day: str,
        alerts: list[Alert],
        here: dict[str, list[Channel]],
        now: datetime,
    ) -> None:
        if await alert_rules.last_summary(connection, organisation_id) == day:
            return
        await alert_rules.put_last_summary(connection, organisation_id, day)
        is_open = [one for one in alerts if one.organisation_id == organisation_id and one.cleared_at is None]
        recent = await kept.changed_since(connection, organisation_id, now - timedelta(days=1))
        said = words.of_summary(day, recent, is_open, self._cloud.settings.public_url)
        await _add(connection, organisation_id, here.get(organisation_id, []), said, now)


def _notes(news: News, now: datetime) -> list[Note]:
    said = []
    if news.now.connected != news.before.connected:
        type = types.DEVICE_CONNECTED if news.now.connected else types.DEVICE_DISCONNECTED
        said.append(types.of_device(type, news.device_key, now))
    if news.now[1:] != news.before[1:]:
        health = news.health
        said.append(
            types.device_state(news.device_key, now, news.before.state, news.now.state, health.since, health.causes)
        )
    return said


def _summary_day(rules: Rules, now: datetime) -> str | None:
    return None if rules.daily_summary is None else rules.daily_summary.due(now)


def _untold(alert: Alert) -> bool:
    return alert.cleared_at is not None or (alert.opened_notice_id is None and alert.acknowledged_at is None)


async def _add(connection: AsyncConnection, organisation_id: str, to: list[Channel], said: Words, now: datetime) -> int:
    return await deliveries.add(
        connection, organisation_id, to, now, type=said.type, title=said.title, text=said.text, data=said.data
    )
