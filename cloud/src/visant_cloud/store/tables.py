"""Every table. Times are UTC; each row names its organisation, a device's by its key as well (keys.py)."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from visant_cloud.database.column_types import Clean, UtcTime
from visant_cloud.store.keys import DEFAULT_ORGANISATION

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

_OPEN = text("ended_at IS NULL")
_KEYED = text("idempotency_key IS NOT NULL")
_SLOTTED = text("schedule_id IS NOT NULL")
_WAITING = text("next_at IS NOT NULL")
_NOT_CLEARED = text("cleared_at IS NULL")
_NOT_DONE = text("done_at IS NULL")
_NOT_USEFUL = text("state <> 'useful'")
_GAP = text("reason IS NOT NULL OR gap IS NOT NULL")
_BIG = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only on INTEGER


def _organisation(**more: Any) -> Column[Any]:
    return Column(
        "organisation_id",
        String(64),
        ForeignKey("organisations.organisation_id"),
        nullable=False,
        server_default=DEFAULT_ORGANISATION,
        **more,
    )


def _device() -> Column[Any]:
    return Column("device_key", Clean(128), ForeignKey("devices.device_key"), nullable=False)


def _index(table: str, *columns: str, where: Any = None, unique: bool = False, name: str | None = None) -> Index:
    name = name or f"{'uq' if unique else 'ix'}_{table}_{'_'.join(columns)}"
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


organisations = Table(
    "organisations",
    metadata,
    Column("organisation_id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
)

meta = Table(
    "meta",
    metadata,
    _organisation(primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

operators = Table(
    "operators",
    metadata,
    _organisation(),
    Column("operator_id", String(32), primary_key=True),
    Column("name", Clean(200), nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    _organisation(),
    Column("session_hash", String(64), primary_key=True),
    Column("operator_id", String(32), ForeignKey("operators.operator_id", ondelete="CASCADE"), nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("address", Clean(64)),
    Column("agent", Clean(200)),
    Column("seen_at", UtcTime),
    _index("sessions", "operator_id"),  # a person's own
)
"""`address` and `agent`: of the browser that signed in. `seen_at`: the last request, to a minute."""

memberships = Table(
    "memberships",
    metadata,
    _organisation(primary_key=True),
    Column("operator_id", String(32), ForeignKey("operators.operator_id", ondelete="CASCADE"), primary_key=True),
    Column("role", String(20), nullable=False, server_default="admin"),
    Column("group_ids", JSON(none_as_null=True)),
)
"""What an operator may do for an organisation: for the own one, and for others. `group_ids`: only with devices of these
groups; null: with all."""

api_tokens = Table(
    "api_tokens",
    metadata,
    _organisation(),
    Column("token_hash", String(64), primary_key=True),
    Column("name", Clean(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("role", String(20), nullable=False, server_default="admin"),
    Column("group_ids", JSON(none_as_null=True)),
    Column("expires_at", UtcTime),
    Column("last_used_at", UtcTime),
    Column("created_by", Clean(200)),
    UniqueConstraint("organisation_id", "name"),
)
"""`role`, `group_ids`: as a membership's. `last_used_at`: to a minute."""

invites = Table(
    "invites",
    metadata,
    _organisation(),
    Column("invite_hash", String(64), primary_key=True),
    Column("name", Clean(200), nullable=False),
    Column("role", String(20), nullable=False),
    Column("group_ids", JSON(none_as_null=True)),
    Column("created_by", Clean(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)
"""A person who may choose a password, once, until then. Accepted or taken back, the row is gone."""

audit = Table(
    "audit",
    metadata,
    _organisation(),
    Column("audit_id", _BIG, primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("who", Clean(200), nullable=False),
    Column("way", String(10), nullable=False),
    Column("address", Clean(64)),
    Column("action", Clean(200), nullable=False),
    Column("object", Clean(600), nullable=False),
    Column("status", Integer, nullable=False),
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
    _index("audit", "organisation_id", "audit_id"),
    # what became of one thing
    _index("audit", "organisation_id", "object", "audit_id"),
    # what retention removes
    _index("audit", "at"),
    sqlite_autoincrement=True,
)
"""Who changed what, and who looked at which picture (access/audit.py). `action`: a method and a route's path."""

devices = Table(
    "devices",
    metadata,
    _organisation(),
    Column("device_key", Clean(128), primary_key=True),
    Column("device_id", Clean(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("active", Boolean, nullable=False, default=True),
    Column("old_client", Boolean, nullable=False, default=False),
    Column("token_hash", String(64), unique=True),
    Column("token_revoked", Boolean, nullable=False, default=False),
    Column("token_seen_at", UtcTime),
    Column("device_version", Clean(100)),
    Column("config", JSON(none_as_null=True)),
    Column("site", Clean(100)),
    Column("name", Clean(300)),
    Column("notes", Clean),
    Column("search", Clean),
    Column("deleted_at", UtcTime),
    Column("deletion_job_id", _BIG),
    UniqueConstraint("organisation_id", "device_id"),
)
"""`name`: as people call it, in any script; null: by its id. `search`: what is looked for in (devices.searched).
`deleted_at`: only its pictures are left, or the fact alone; `deletion_job_id`: the job that still removes the rest.
"""

device_groups = Table(
    "device_groups",
    metadata,
    _organisation(),
    Column("group_id", _BIG, primary_key=True, autoincrement=True),
    Column("name", Clean(100), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("organisation_id", "name"),
    sqlite_autoincrement=True,
)

group_members = Table(
    "group_members",
    metadata,
    _organisation(),
    Column("group_id", _BIG, ForeignKey("device_groups.group_id", ondelete="CASCADE"), primary_key=True),
    Column("device_key", Clean(128), ForeignKey("devices.device_key"), primary_key=True),
    _index("group_members", "device_key"),  # the groups of a device
)
"""A device may be in several groups; groups are not in groups."""

device_tags = Table(
    "device_tags",
    metadata,
    _organisation(),
    Column("device_key", Clean(128), ForeignKey("devices.device_key"), primary_key=True),
    Column("tag", Clean(50), primary_key=True),
    _index("device_tags", "organisation_id", "tag", "device_key"),  # the devices with a tag
)

device_states = Table(
    "device_states",
    metadata,
    _organisation(),
    Column("device_key", Clean(128), ForeignKey("devices.device_key"), primary_key=True),
    Column("last_seen_at", UtcTime),
    Column("telemetry", JSON(none_as_null=True)),
    Column("telemetry_at", UtcTime),
    Column("degraded", Boolean, nullable=False, server_default=false()),
    Column("newest_seq", _BIG),
    Column("newest_record_id", String(32)),
    Column("newest_captured_at", UtcTime),
    Column("strip", JSON, nullable=False, server_default="[]"),
    Column("outcomes", JSON, nullable=False, server_default="{}"),
    Column("changes", _BIG, nullable=False, server_default="0"),  # of telemetry and outcomes: what alerts look at
    Column("stated", JSON(none_as_null=True)),  # what events told last: connected, state, kinds of causes
)
"""What changes all the time, a row for each of `devices` (device_states.py); no index but the key: updates are HOT."""

device_days = Table(
    "device_days",
    metadata,
    _organisation(primary_key=True),
    Column("day", Date, primary_key=True),
    Column("device_key", Clean(128), ForeignKey("devices.device_key"), primary_key=True),
    *(Column(name, Integer, nullable=False, server_default="0") for name in ("executed", "failed", "expired")),
    Column("captures", Integer, nullable=False, server_default="0"),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
)
"""What became of the triggers of a day, and what was received on it (counters.py)."""

slot_days = Table(
    "slot_days",
    metadata,
    _organisation(primary_key=True),
    Column("day", Date, primary_key=True),
    Column("device_key", Clean(128), ForeignKey("devices.device_key"), primary_key=True),
    Column("cause", Clean(120), primary_key=True),
    Column("count", Integer, nullable=False, server_default="0"),
    _index("slot_days", "day"),  # slot_days.forget
)
"""What became of the scheduled slots of a day (slot_days.py)."""

processes = Table(
    "processes",
    metadata,
    _organisation(),
    Column("process_id", String(32), primary_key=True),
    Column("seen_at", UtcTime, nullable=False),
    Column("streams", JSON(none_as_null=True), nullable=False),
)

enrol_codes = Table(
    "enrol_codes",
    metadata,
    _organisation(),
    Column("code_hash", String(64), primary_key=True),
    Column("device_id", Clean(64)),
    Column("replace", Boolean, nullable=False, default=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
    Column("used_by", String(64)),
    Column("batch_id", _BIG),
    Column("number", Integer),
    Column("name", Clean(300)),
    Column("revoked_at", UtcTime),
)
"""`batch_id`, `number`: of a batch (enrol_batches.py); `name`: what the device will be called."""

enrol_batches = Table(
    "enrol_batches",
    metadata,
    _organisation(),
    Column("batch_id", _BIG, primary_key=True, autoincrement=True),
    Column("title", Clean(300), nullable=False),
    Column("group_id", _BIG, ForeignKey("device_groups.group_id", ondelete="SET NULL")),
    Column("created_by", Clean(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    _index("enrol_batches", "organisation_id", "batch_id"),
    sqlite_autoincrement=True,
)
"""Enrolment codes that were made together, and the group that their devices join."""

schedules = Table(
    "schedules",
    metadata,
    _organisation(),
    Column("schedule_id", _BIG, primary_key=True, autoincrement=True),
    _device(),
    Column("interval_seconds", Float, nullable=False),
    Column("next_at", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("organisation_id", "device_key"),  # schedules.find, everyone: one a device
    Index("ix_schedules_next_at_schedule_id", "next_at", "schedule_id"),  # schedules.due: every round
    sqlite_autoincrement=True,
)

shared_schedules = Table(
    "shared_schedules",
    metadata,
    _organisation(),
    Column("schedule_id", _BIG, primary_key=True, autoincrement=True),
    Column("name", Clean(100), nullable=False),
    Column("rule", JSON, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("next_at", UtcTime),
    Column("previous_at", UtcTime),
    Column("late_until", UtcTime),
    Column("shift", Integer, nullable=False),
    UniqueConstraint("organisation_id", "name"),
    _index("shared_schedules", "next_at", where=_WAITING),  # every round
    sqlite_autoincrement=True,
)
"""Schedules of /v1/schedules. `next_at`: the next slot; null: never. `previous_at`: the slot before it, if any.
`late_until`: the last slot that was missed just before. `shift`: microseconds that slots lie after their rule's: a
clock that was put back has used the others up. In `triggers` and `missed_slots` their id is negative.
"""

schedule_targets = Table(
    "schedule_targets",
    metadata,
    _organisation(),
    Column("target_id", _BIG, primary_key=True, autoincrement=True),
    Column("schedule_id", _BIG, ForeignKey("shared_schedules.schedule_id", ondelete="CASCADE"), nullable=False),
    Column("device_key", Clean(128), ForeignKey("devices.device_key", ondelete="CASCADE")),
    Column("group_id", _BIG, ForeignKey("device_groups.group_id", ondelete="CASCADE")),
    Column("tag", Clean(50)),
    _index("schedule_targets", "schedule_id", "device_key", where=text("device_key IS NOT NULL"), unique=True),
    _index("schedule_targets", "schedule_id", "group_id", where=text("group_id IS NOT NULL"), unique=True),
    _index("schedule_targets", "schedule_id", "tag", where=text("tag IS NOT NULL"), unique=True),
    _index("schedule_targets", "device_key"),  # the schedules of a device
    sqlite_autoincrement=True,
)
"""What a shared schedule is attached to: one of device, group and tag."""

slots_due = Table(
    "slots_due",
    metadata,
    _organisation(),
    Column("schedule_id", _BIG, ForeignKey("shared_schedules.schedule_id", ondelete="CASCADE"), primary_key=True),
    Column("device_key", Clean(128), ForeignKey("devices.device_key", ondelete="CASCADE"), primary_key=True),
    Column("slot", UtcTime, primary_key=True),
    Column("due_at", UtcTime, nullable=False),
    Column("lifetime", Float, nullable=False),
    Column("make_up", Boolean, nullable=False),
    _index("slots_due", "due_at", "schedule_id", "device_key"),  # every round
    _index("slots_due", "device_key"),  # a device is deleted
)
"""Slots of shared schedules that have come, a row for each device, until each has its trigger."""

missed_slots = Table(
    "missed_slots",
    metadata,
    _organisation(),
    # the key serves schedules.missed (a device's newest) and note_missed (the run that ended then)
    Column("device_key", Clean(128), ForeignKey("devices.device_key"), primary_key=True),
    Column("last_at", UtcTime, primary_key=True),
    Column("schedule_id", _BIG, primary_key=True, autoincrement=False),
    Column("first_at", UtcTime, nullable=False),
    Column("count", Integer, nullable=False),
    Column("reason", String(20), nullable=False),
    _index("missed_slots", "last_at"),  # schedules.forget_missed
)
"""Runs of slots without a trigger. They outlive their schedule, as triggers do: its id is never given again."""

triggers = Table(
    "triggers",
    metadata,
    _organisation(),
    Column("seq", _BIG, primary_key=True, autoincrement=True),
    _device(),
    Column("trigger_id", Clean(512), nullable=False),
    Column("kind", String(20), nullable=False, default="capture"),
    Column("type", Clean(50), nullable=False, default="manual"),
    Column("status", String(20), nullable=False),
    Column("reason", Clean(100)),
    Column("detail", Clean),
    Column("provisional", Boolean, nullable=False, default=False),
    Column("config", JSON(none_as_null=True)),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("sent_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("history", JSON, nullable=False),
    Column("idempotency_key", Clean(512)),
    Column("schedule_id", _BIG),
    Column("scheduled_for", UtcTime),
    Column("gap", String(20)),
    Column("stages", JSON(none_as_null=True)),
    CheckConstraint("(ended_at IS NULL) = (status IN ('pending', 'sent'))", name="ck_triggers_ended"),
    # the outcome or the picture of a trigger comes; one row an id for all time
    UniqueConstraint("device_key", "trigger_id"),
    # a request is sent again; a slot is fired by two processes (trigger_creation.create_scheduled)
    _index("triggers", "device_key", "idempotency_key", where=_KEYED, unique=True),
    _index("triggers", "schedule_id", "device_key", "scheduled_for", where=_SLOTTED, unique=True),
    # a device's page, and the newest of all devices
    _index("triggers", "device_key", "seq"),
    _index("triggers", "organisation_id", "seq"),
    # what streams send, and which triggers are overdue. Neither has `status`: `sent` changes no index, so it is HOT
    _index("triggers", "device_key", "seq", where=_OPEN, name="ix_triggers_open"),
    _index("triggers", "expires_at", where=_OPEN),
    # the ledger over the fleet, of a device, and of what went wrong (ledger.py)
    _index("triggers", "organisation_id", "created_at", "seq"),
    _index("triggers", "device_key", "created_at", "seq"),
    _index("triggers", "organisation_id", "created_at", "seq", where=_GAP, name="ix_triggers_gaps"),
    sqlite_autoincrement=True,
)
"""`gap`: why the picture of a slot does not count (slot_gaps.py). `stages`: of the device's report (views/stages.py); a
picture has them in its own metadata."""

captures = Table(
    "captures",
    metadata,
    _organisation(),
    Column("seq", _BIG, primary_key=True, autoincrement=True),
    Column("record_id", String(32), nullable=False, unique=True),
    _device(),
    Column("trigger_id", Clean(512)),
    Column("trigger_label", Clean),
    Column("captured_at", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("uncertainty", Float),
    Column("bytes", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("thumbnail", Boolean, nullable=False, default=False),
    Column("metadata", JSON, nullable=False),
    Column("state", String(20)),
    Column("score", Float),
    Column("reason", Clean),
    Column("evaluated_at", UtcTime),
    Column("figures", JSON(none_as_null=True)),
    Column("own_evaluation", JSON(none_as_null=True)),
    # a picture that is delivered again; the pictures of a page of triggers
    UniqueConstraint("device_key", "trigger_id"),
    # a device's newest, the newest of all devices
    _index("captures", "device_key", "seq"),
    _index("captures", "organisation_id", "seq"),
    # what retention removes
    _index("captures", "received_at"),
    # gallery.page and moment: by when they were taken, of a device, of all, and those that a person should look at
    _index("captures", "device_key", "captured_at", "seq"),
    _index("captures", "organisation_id", "captured_at", "seq"),
    _index("captures", "organisation_id", "captured_at", "seq", where=_NOT_USEFUL, name="ix_captures_not_useful"),
    sqlite_autoincrement=True,
)

device_quality = Table(
    "device_quality",
    metadata,
    _organisation(),
    Column("device_key", Clean(128), ForeignKey("devices.device_key"), primary_key=True),
    Column("version", _BIG, nullable=False),
    Column("normal", Text, nullable=False),
    Column("views", Text, nullable=False),
    Column("reference_record_id", String(32)),
    Column("reference", Text),
    Column("mask", JSON(none_as_null=True)),
    Column("state", String(20), nullable=False),
    Column("since", UtcTime),
    Column("reason", Clean),
    Column("record_id", String(32)),
    # of whose pictures something is said
    _index("device_quality", "organisation_id", where=text("state != 'useful'")),
    # retention: is it a reference?
    _index("device_quality", "reference_record_id", where=text("reference_record_id IS NOT NULL")),
)
"""What is normal of a device's pictures, and what was said of its last one (quality.py). `record_id`: the first picture
of that verdict."""

alerts = Table(
    "alerts",
    metadata,
    _organisation(),
    Column("alert_id", _BIG, primary_key=True, autoincrement=True),
    Column("subject", Clean(200), nullable=False),
    Column("kind", String(30), nullable=False),
    Column("device_key", Clean(128), ForeignKey("devices.device_key")),
    Column("site", Clean(100)),
    Column("since", UtcTime),
    Column("opened_at", UtcTime, nullable=False),
    Column("detail", Clean, nullable=False),
    Column("remedy", Clean, nullable=False),
    Column("cleared_at", UtcTime),
    Column("acknowledged_at", UtcTime),
    Column("acknowledged_by", Clean(200)),
    Column("note", Clean),
    Column("opened_notice_id", _BIG),
    Column("cleared_notice_id", _BIG),
    Column("done_at", UtcTime),
    # one open alert a subject and kind, whoever opens it
    _index("alerts", "organisation_id", "subject", "kind", where=_NOT_CLEARED, unique=True),
    # every round: what is open, or cleared and not told of yet
    _index("alerts", "alert_id", where=_NOT_DONE, name="ix_alerts_not_done"),
    # the history of all, and of a device
    _index("alerts", "organisation_id", "alert_id"),
    _index("alerts", "device_key", "alert_id"),
    sqlite_autoincrement=True,
)
"""`subject`: a device's key, `/channel/7` or `/cloud`. `done_at`: nothing is to be told of it any more."""

silences = Table(
    "silences",
    metadata,
    _organisation(),
    Column("silence_id", _BIG, primary_key=True, autoincrement=True),
    Column("device_key", Clean(128), ForeignKey("devices.device_key")),
    Column("site", Clean(100)),
    Column("kind", String(30)),
    Column("until", UtcTime, nullable=False),
    Column("note", Clean),
    Column("created_by", Clean(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    _index("silences", "organisation_id", "until"),
    sqlite_autoincrement=True,
)
"""Nobody is told of what matches all that is not null, until then."""

channels = Table(
    "channels",
    metadata,
    _organisation(),
    Column("channel_id", _BIG, primary_key=True, autoincrement=True),
    Column("type", String(20), nullable=False),
    Column("name", Clean(100), nullable=False),
    Column("target", Clean, nullable=False),
    Column("secret", Text),
    Column("kinds", JSON(none_as_null=True)),
    Column("active", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("last_answer", Clean),
    Column("last_at", UtcTime),
    UniqueConstraint("organisation_id", "name"),
    sqlite_autoincrement=True,
)
"""`target`: a URL, or addresses with commas between. `failures`: attempts since the last that succeeded."""

notices = Table(
    "notices",
    metadata,
    _organisation(),
    Column("notice_id", _BIG, primary_key=True, autoincrement=True),
    Column("type", String(30), nullable=False),
    Column("title", Clean, nullable=False),
    Column("text", Clean, nullable=False),
    Column("data", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    sqlite_autoincrement=True,
)
"""Messages, whoever gets them."""

deliveries = Table(
    "deliveries",
    metadata,
    _organisation(),
    Column("delivery_id", _BIG, primary_key=True, autoincrement=True),
    Column("notice_id", _BIG, nullable=False),
    Column("channel_id", _BIG, ForeignKey("channels.channel_id", ondelete="CASCADE"), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("delivered", Boolean, nullable=False, server_default=false()),
    Column("answer", Clean),
    # every round of the outbox
    _index("deliveries", "next_at", where=_OPEN),
    # a channel's log
    _index("deliveries", "channel_id", "delivery_id"),
    sqlite_autoincrement=True,
)
"""A message on its way to a channel. `ended_at` without `delivered`: given up."""

leases = Table(
    "leases",
    metadata,
    _organisation(),
    Column("name", String(40), primary_key=True),
    Column("holder", String(32), nullable=False),
    Column("until", UtcTime, nullable=False),
)
"""Work that one process does at a time (leases.py)."""

event_notes = Table(
    "event_notes",
    metadata,
    _organisation(),
    Column("note_id", _BIG, primary_key=True, autoincrement=True),
    Column("type", String(40), nullable=False),
    Column("device_key", Clean(128)),
    Column("at", UtcTime, nullable=False),
    Column("data", JSON, nullable=False),
    sqlite_autoincrement=True,
)
"""What happened, written with the change itself; it becomes an event when it gets its number (events.py)."""

events = Table(
    "events",
    metadata,
    _organisation(),
    Column("event_id", _BIG, primary_key=True, autoincrement=False),
    Column("type", String(40), nullable=False),
    Column("device_key", Clean(128)),
    Column("at", UtcTime, nullable=False),
    Column("data", JSON, nullable=False),
)
"""Numbered without gaps, in an order in which nothing ever appears before what was read already."""

event_counter = Table(
    "event_counter",
    metadata,
    _organisation(primary_key=True),
    Column("last_id", _BIG, nullable=False),
)
"""One row, of the default organisation: the last number given; who holds it gives the next ones."""

telemetry_reports = Table(
    "telemetry_reports",
    metadata,
    _organisation(),
    Column("device_key", Clean(128), primary_key=True),
    Column("at", UtcTime, primary_key=True),
    Column("kept", JSON, nullable=False),
    _index("telemetry_reports", "at"),  # an hour of all devices, and what is old
)
"""What is kept of each report of the last two days (history/fields.py)."""

telemetry_hours = Table(
    "telemetry_hours",
    metadata,
    _organisation(),
    Column("device_key", Clean(128), primary_key=True),
    Column("hour", UtcTime, primary_key=True),
    Column("steps", JSON, nullable=False),
    _index("telemetry_hours", "hour"),  # what is old
)
"""The same in steps of five minutes, a row for each device and hour; `hour`: its begin."""
jobs = Table(
    "jobs",
    metadata,
    _organisation(),
    Column("job_id", _BIG, primary_key=True, autoincrement=True),
    Column("kind", String(30), nullable=False),
    Column("status", String(20), nullable=False),
    Column("given", JSON, nullable=False),
    Column("total", Integer, nullable=False),
    Column("position", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("rate", Float),
    Column("detail", Clean),
    Column("result", JSON(none_as_null=True)),
    Column("created_by", Clean(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("idempotency_key", Clean(512)),
    Column("request_hash", String(64)),
    # a request is sent again
    _index("jobs", "organisation_id", "idempotency_key", where=_KEYED, unique=True),
    # every round of the runner
    _index("jobs", "job_id", where=_OPEN, name="ix_jobs_open"),
    # the list of an organisation
    _index("jobs", "organisation_id", "job_id"),
    # what is forgotten
    _index("jobs", "ended_at"),
    sqlite_autoincrement=True,
)
"""Work that goes on behind an answer (jobs/). `given`: what it is to do; `position`: pieces of `total` that are done,
`failed` of them without success; `result`: what it made."""

job_items = Table(
    "job_items",
    metadata,
    _organisation(),
    Column("job_id", _BIG, ForeignKey("jobs.job_id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("subject", Clean(128), nullable=False),
    Column("outcome", String(20)),
    Column("detail", Clean),
)
"""A device of a job, by its key: it may be gone. `outcome` is null until it was its turn."""
