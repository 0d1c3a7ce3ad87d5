"""Devices have a key (store/keys.py), ids are unique within an organisation, people may act for several.

SQLite makes each table anew; foreign keys are off meanwhile (store/schema.py).
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OPEN = sa.text("status IN ('pending', 'sent')")
_KEY = sa.String(length=128)


def upgrade() -> None:
    op.create_table(
        "memberships",
        sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("operator_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_memberships_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.operator_id"], name=op.f("fk_memberships_operator_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("organisation_id", "operator_id", name=op.f("pk_memberships")),
    )
    with op.batch_alter_table("meta") as meta:
        meta.drop_constraint("pk_meta", type_="primary")
        meta.create_primary_key("pk_meta", ["organisation_id", "key"])
    with op.batch_alter_table("api_tokens") as tokens:
        tokens.drop_constraint("uq_api_tokens_name", type_="unique")
        tokens.create_unique_constraint("uq_api_tokens_organisation_id_name", ["organisation_id", "name"])

    # a device's rows lose their link to it while its key is renamed
    for table in ("triggers", "captures"):
        op.drop_index(f"ix_{table}_device_id_seq", table)
        with op.batch_alter_table(table, table_kwargs={"sqlite_autoincrement": True}) as changed:
            changed.drop_constraint(f"fk_{table}_device_id", type_="foreignkey")
    op.drop_index("ix_triggers_open", "triggers")

    op.add_column("devices", sa.Column("name", sa.String(length=64), nullable=True))
    op.execute("UPDATE devices SET name = device_id")
    with op.batch_alter_table("devices") as devices:
        devices.alter_column("device_id", new_column_name="device_key", type_=_KEY, existing_type=sa.String(64))
    with op.batch_alter_table("devices") as devices:
        devices.alter_column("name", new_column_name="device_id", nullable=False, existing_type=sa.String(64))
    with op.batch_alter_table("devices") as devices:
        devices.create_unique_constraint("uq_devices_organisation_id_device_id", ["organisation_id", "device_id"])

    unique = {"triggers": ("trigger_id", "idempotency_key", "scheduled_for"), "captures": ("trigger_id",)}
    for table, columns in unique.items():
        with op.batch_alter_table(table, table_kwargs={"sqlite_autoincrement": True}) as changed:
            for column in columns:
                changed.drop_constraint(f"uq_{table}_device_id_{column}", type_="unique")
            changed.alter_column("device_id", new_column_name="device_key", type_=_KEY, existing_type=sa.String(64))
        with op.batch_alter_table(table, table_kwargs={"sqlite_autoincrement": True}) as changed:
            changed.create_foreign_key(f"fk_{table}_device_key", "devices", ["device_key"], ["device_key"])
            for column in columns:
                changed.create_unique_constraint(f"uq_{table}_device_key_{column}", ["device_key", column])
        op.create_index(f"ix_{table}_device_key_seq", table, ["device_key", "seq"])
        op.create_index(f"ix_{table}_organisation_id_seq", table, ["organisation_id", "seq"])
    op.create_index("ix_triggers_open", "triggers", ["device_key", "seq"], sqlite_where=_OPEN, postgresql_where=_OPEN)
