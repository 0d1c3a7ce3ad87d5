"""What became of scheduled slots, by day; why a picture of a slot does not count; the stages of a report."""

from datetime import UTC, date, datetime

import sqlalchemy as sa
from alembic import op

from visant_cloud.store.slot_days import by_day

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ENDED = "scheduled_for IS NOT NULL AND kind = 'capture' AND ended_at IS NOT NULL"


def upgrade() -> None:
    op.add_column("triggers", sa.Column("gap", sa.String(length=20), nullable=True))
    op.add_column("triggers", sa.Column("stages", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "slot_days",
        sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("device_key", sa.String(length=128), nullable=False),
        sa.Column("cause", sa.String(length=120), nullable=False),
        sa.Column("count", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_slot_days_organisation_id")
        ),
        sa.ForeignKeyConstraint(["device_key"], ["devices.device_key"], name=op.f("fk_slot_days_device_key")),
        sa.PrimaryKeyConstraint("organisation_id", "day", "device_key", "cause", name=op.f("pk_slot_days")),
    )
    op.create_index("ix_slot_days_day", "slot_days", ["day"])
    _count_what_is_there()


def _count_what_is_there() -> None:
    """As store/slot_days.py would have. Of a picture that retention removed nobody knows when it came: it counts."""
    late = "UPDATE triggers SET gap = 'late' WHERE {ended} AND status = 'executed' AND EXISTS (SELECT 1 FROM captures "
    late += "WHERE captures.device_key = triggers.device_key AND captures.trigger_id = triggers.trigger_id "
    late += "AND captures.received_at > triggers.expires_at)"
    op.execute(late.format(ended=_ENDED))
    sqlite = op.get_bind().dialect.name == "sqlite"
    day = "date(created_at)" if sqlite else "(created_at AT TIME ZONE 'UTC')::date"
    cause = "CASE WHEN status = 'executed' THEN coalesce(gap, 'useful') WHEN reason IS NULL THEN status "
    cause += "ELSE substr(status || ': ' || reason, 1, 120) END"
    counted = "INSERT INTO slot_days (organisation_id, day, device_key, cause, count) SELECT organisation_id, {day}, "
    counted += "device_key, {cause}, count(*) FROM triggers WHERE {ended} GROUP BY organisation_id, {day}, device_key, "
    op.execute(f"{counted}{{cause}}".format(day=day, cause=cause, ended=_ENDED))
    runs = op.get_bind().execute(sa.select(_MISSED))
    sums: dict[tuple[str, str, date, str], int] = {}
    for organisation_id, device_key, reason, first_at, last_at, count in runs:
        for on, number in by_day(_utc(first_at), _utc(last_at), count).items():
            place = organisation_id, device_key, on, f"missed: {reason}"
            sums[place] = sums.get(place, 0) + number
    rows = [dict(zip(_COUNTED.c.keys(), (*place, number), strict=True)) for place, number in sums.items()]
    if rows:
        op.bulk_insert(_COUNTED, rows)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


_COUNTED = sa.table(
    "slot_days",
    *(sa.column(name, sa.String()) for name in ("organisation_id", "device_key")),
    sa.column("day", sa.Date()),
    sa.column("cause", sa.String()),
    sa.column("count", sa.Integer()),
)
_MISSED = sa.table(
    "missed_slots",
    *(sa.column(name, sa.String()) for name in ("organisation_id", "device_key", "reason")),
    *(sa.column(name, sa.DateTime(timezone=True)) for name in ("first_at", "last_at")),
    sa.column("count", sa.Integer()),
)
