"""Schedules as things of their own, attached to devices, groups and tags."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _organisation() -> sa.Column[str]:
    return sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False)


def _refers(table: str, column: str, to: str, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.{column}"], name=op.f(f"fk_{table}_{column}"), ondelete=ondelete)


def _time(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _index(table: str, *columns: str, where: str | None = None, unique: bool = False) -> None:
    condition = None if where is None else sa.text(where)
    name = f"{'uq' if unique else 'ix'}_{table}_{'_'.join(columns)}"
    op.create_index(name, table, list(columns), unique=unique, sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    op.create_table(
        "shared_schedules",
        _organisation(),
        sa.Column("schedule_id", _BIG, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("rule", sa.JSON(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        _time("created_at"),
        _time("updated_at"),
        _time("next_at", nullable=True),
        _time("previous_at", nullable=True),
        _time("late_until", nullable=True),
        sa.Column("shift", sa.Integer(), nullable=False),
        _refers("shared_schedules", "organisation_id", "organisations"),
        sa.PrimaryKeyConstraint("schedule_id", name=op.f("pk_shared_schedules")),
        sa.UniqueConstraint("organisation_id", "name", name=op.f("uq_shared_schedules_organisation_id_name")),
        sqlite_autoincrement=True,
    )
    _index("shared_schedules", "next_at", where="next_at IS NOT NULL")
    op.create_table(
        "schedule_targets",
        _organisation(),
        sa.Column("target_id", _BIG, autoincrement=True, nullable=False),
        sa.Column("schedule_id", _BIG, nullable=False),
        sa.Column("device_key", sa.String(length=128), nullable=True),
        sa.Column("group_id", _BIG, nullable=True),
        sa.Column("tag", sa.String(length=50), nullable=True),
        _refers("schedule_targets", "organisation_id", "organisations"),
        _refers("schedule_targets", "schedule_id", "shared_schedules", ondelete="CASCADE"),
        _refers("schedule_targets", "device_key", "devices", ondelete="CASCADE"),
        _refers("schedule_targets", "group_id", "device_groups", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("target_id", name=op.f("pk_schedule_targets")),
        sqlite_autoincrement=True,
    )
    for column in ("device_key", "group_id", "tag"):
        _index("schedule_targets", "schedule_id", column, where=f"{column} IS NOT NULL", unique=True)
    _index("schedule_targets", "device_key")
    op.create_table(
        "slots_due",
        _organisation(),
        sa.Column("schedule_id", _BIG, nullable=False),
        sa.Column("device_key", sa.String(length=128), nullable=False),
        _time("slot"),
        _time("due_at"),
        sa.Column("lifetime", sa.Float(), nullable=False),
        sa.Column("make_up", sa.Boolean(), nullable=False),
        _refers("slots_due", "organisation_id", "organisations"),
        _refers("slots_due", "schedule_id", "shared_schedules", ondelete="CASCADE"),
        _refers("slots_due", "device_key", "devices", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("schedule_id", "device_key", "slot", name=op.f("pk_slots_due")),
    )
    _index("slots_due", "due_at", "schedule_id", "device_key")
    _index("slots_due", "device_key")
