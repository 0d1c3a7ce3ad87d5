"""Events with numbers in the order in which they may be read; telemetry over time."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _organisation() -> sa.Column[str]:
    return sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False)


def _refers(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["organisation_id"], ["organisations.organisation_id"], name=op.f(f"fk_{table}_organisation_id")
    )


def _said() -> list[sa.Column[Any]]:
    return [
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("device_key", sa.String(length=128), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
    ]


def upgrade() -> None:
    op.add_column("device_states", sa.Column("stated", sa.JSON(), nullable=True))
    op.create_table(
        "event_notes",
        _organisation(),
        sa.Column("note_id", _BIG, autoincrement=True, nullable=False),
        *_said(),
        _refers("event_notes"),
        sa.PrimaryKeyConstraint("note_id", name=op.f("pk_event_notes")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "events",
        _organisation(),
        sa.Column("event_id", _BIG, autoincrement=False, nullable=False),
        *_said(),
        _refers("events"),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_events")),
    )
    op.create_table(
        "event_counter",
        _organisation(),
        sa.Column("last_id", _BIG, nullable=False),
        _refers("event_counter"),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_event_counter")),
    )
    for name, time, kept in (("telemetry_reports", "at", "kept"), ("telemetry_hours", "hour", "steps")):
        op.create_table(
            name,
            _organisation(),
            sa.Column("device_key", sa.String(length=128), nullable=False),
            sa.Column(time, sa.DateTime(timezone=True), nullable=False),
            sa.Column(kept, sa.JSON(), nullable=False),
            _refers(name),
            sa.PrimaryKeyConstraint("device_key", time, name=op.f(f"pk_{name}")),
        )
        op.create_index(f"ix_{name}_{time}", name, [time])
