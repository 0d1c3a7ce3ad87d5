"""Schedules are a table, a slot is (schedule, device, time), missed slots are runs.

The triggers of before keep no schedule: which one made them was written nowhere. SQLite makes its tables anew; foreign
keys are off meanwhile (store/schema.py).
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OPEN = sa.text("status IN ('pending', 'sent')")
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("schedule_id", _BIG, autoincrement=True, nullable=False),
        sa.Column("device_key", sa.String(length=128), nullable=False),
        sa.Column("interval_seconds", sa.Float(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_schedules_organisation_id")
        ),
        sa.ForeignKeyConstraint(["device_key"], ["devices.device_key"], name=op.f("fk_schedules_device_key")),
        sa.PrimaryKeyConstraint("schedule_id", name=op.f("pk_schedules")),
        sa.UniqueConstraint("organisation_id", "device_key", name=op.f("uq_schedules_organisation_id_device_key")),
        sqlite_autoincrement=True,
    )
    # when a schedule was made was written nowhere either
    op.execute(
        "INSERT INTO schedules (organisation_id, device_key, interval_seconds, next_at, created_at) "
        "SELECT organisation_id, device_key, schedule_interval, schedule_next_at, CURRENT_TIMESTAMP FROM devices "
        "WHERE schedule_interval IS NOT NULL AND schedule_next_at IS NOT NULL ORDER BY device_key"
    )
    op.create_index("ix_schedules_next_at_schedule_id", "schedules", ["next_at", "schedule_id"])
    op.create_table(
        "missed_slots",
        sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("device_key", sa.String(length=128), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("schedule_id", _BIG, autoincrement=False, nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_missed_slots_organisation_id")
        ),
        sa.ForeignKeyConstraint(["device_key"], ["devices.device_key"], name=op.f("fk_missed_slots_device_key")),
        sa.PrimaryKeyConstraint("device_key", "last_at", "schedule_id", name=op.f("pk_missed_slots")),
    )

    op.drop_index("ix_devices_schedule_next_at", "devices")
    with op.batch_alter_table("devices") as devices:
        devices.drop_column("schedule_interval")
        devices.drop_column("schedule_next_at")

    op.drop_index("ix_triggers_open", "triggers")  # a copy of the table would forget that it is partial
    with op.batch_alter_table("triggers", table_kwargs={"sqlite_autoincrement": True}) as triggers:
        triggers.drop_constraint("uq_triggers_device_key_scheduled_for", type_="unique")
        triggers.add_column(sa.Column("schedule_id", _BIG, nullable=True))
        triggers.create_unique_constraint(
            "uq_triggers_schedule_id_device_key_scheduled_for", ["schedule_id", "device_key", "scheduled_for"]
        )
    op.create_index("ix_triggers_open", "triggers", ["device_key", "seq"], sqlite_where=_OPEN, postgresql_where=_OPEN)
