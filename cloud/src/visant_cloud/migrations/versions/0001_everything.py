"""The first schema: every table, each naming its organisation."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "organisations",
        sa.Column("organisation_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_organisations")),
    )
    op.execute("INSERT INTO organisations (organisation_id, name) VALUES ('default', 'Default')")
    op.create_table(
        "api_tokens",
        sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_api_tokens_organisation_id")
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("name", name=op.f("uq_api_tokens_name")),
    )
    op.create_table(
        "devices",
        sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("old_client", sa.Boolean(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=True),
        sa.Column("token_revoked", sa.Boolean(), nullable=False),
        sa.Column("token_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("device_version", sa.String(length=100), nullable=True),
        sa.Column("config", sa.JSON(), nullable=True),
        sa.Column("schedule_interval", sa.Float(), nullable=True),
        sa.Column("schedule_next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("telemetry", sa.JSON(), nullable=True),
        sa.Column("telemetry_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_devices_organisation_id")
        ),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_devices")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_devices_token_hash")),
    )
    op.create_index("ix_devices_schedule_next_at", "devices", ["schedule_next_at"], unique=False)

    op.create_table(
        "enrol_codes",
        sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=True),
        sa.Column("replace", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_by", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_enrol_codes_organisation_id")
        ),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_enrol_codes")),
    )
    op.create_table(
        "meta",
        sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_meta_organisation_id")
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
    )
    op.create_table(
        "operators",
        sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("operator_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_operators_organisation_id")
        ),
        sa.PrimaryKeyConstraint("operator_id", name=op.f("pk_operators")),
        sa.UniqueConstraint("name", name=op.f("uq_operators_name")),
    )
    op.create_table(
        "captures",
        sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("record_id", sa.String(length=32), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("trigger_id", sa.String(length=512), nullable=True),
        sa.Column("trigger_label", sa.String(), nullable=True),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uncertainty", sa.Float(), nullable=True),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("thumbnail", sa.Boolean(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"], name=op.f("fk_captures_device_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_captures_organisation_id")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_captures")),
        sa.UniqueConstraint("device_id", "trigger_id", name=op.f("uq_captures_device_id_trigger_id")),
        sa.UniqueConstraint("record_id", name=op.f("uq_captures_record_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_captures_device_id_seq", "captures", ["device_id", "seq"], unique=False)
    op.create_index("ix_captures_received_at", "captures", ["received_at"], unique=False)

    op.create_table(
        "sessions",
        sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("session_hash", sa.String(length=64), nullable=False),
        sa.Column("operator_id", sa.String(length=32), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.operator_id"], name=op.f("fk_sessions_operator_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_sessions_organisation_id")
        ),
        sa.PrimaryKeyConstraint("session_hash", name=op.f("pk_sessions")),
    )
    op.create_table(
        "triggers",
        sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("trigger_id", sa.String(length=512), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("type", sa.String(length=50), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=100), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("history", sa.JSON(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=512), nullable=True),
        sa.Column("scheduled_for", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"], name=op.f("fk_triggers_device_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_triggers_organisation_id")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_triggers")),
        sa.UniqueConstraint("device_id", "idempotency_key", name=op.f("uq_triggers_device_id_idempotency_key")),
        sa.UniqueConstraint("device_id", "scheduled_for", name=op.f("uq_triggers_device_id_scheduled_for")),
        sa.UniqueConstraint("device_id", "trigger_id", name=op.f("uq_triggers_device_id_trigger_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_triggers_created_at", "triggers", ["created_at"], unique=False)
    op.create_index("ix_triggers_device_id_seq", "triggers", ["device_id", "seq"], unique=False)
    op.create_index("ix_triggers_status_expires_at", "triggers", ["status", "expires_at"], unique=False)


def downgrade() -> None:

    op.drop_table("triggers")
    op.drop_table("sessions")

    op.drop_table("captures")
    op.drop_table("operators")
    op.drop_table("meta")
    op.drop_table("enrol_codes")

    op.drop_table("devices")
    op.drop_table("api_tokens")
    op.drop_table("organisations")
