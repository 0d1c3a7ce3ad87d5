"""Alerts, channels, and what is on its way to them; a device has a site."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NOT_CLEARED = sa.text("cleared_at IS NULL")
_NOT_DONE = sa.text("done_at IS NULL")
_NOT_ENDED = sa.text("ended_at IS NULL")


def _table(name: str, key: str, *parts: sa.schema.SchemaItem) -> None:
    numbered = key != "name"
    op.create_table(
        name,
        sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False),
        sa.Column(key, _BIG if numbered else sa.String(length=40), autoincrement=numbered, nullable=False),
        *parts,
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f(f"fk_{name}_organisation_id")
        ),
        sa.PrimaryKeyConstraint(key, name=op.f(f"pk_{name}")),
        sqlite_autoincrement=numbered,
    )


def _text(name: str, length: int | None = None, nullable: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=nullable)


def _time(name: str, nullable: bool = True) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _device(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["device_key"], ["devices.device_key"], name=op.f(f"fk_{table}_device_key"))


def _index(name: str, table: str, columns: list[str], where: sa.TextClause | None = None, unique: bool = False) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    op.add_column("devices", sa.Column("site", sa.String(length=100), nullable=True))
    op.add_column("device_states", sa.Column("changes", _BIG, server_default="0", nullable=False))
    _table(
        "alerts",
        "alert_id",
        _text("subject", 200, nullable=False),
        _text("kind", 30, nullable=False),
        _text("device_key", 128),
        _text("site", 100),
        _time("since"),
        _time("opened_at", nullable=False),
        _text("detail", nullable=False),
        _text("remedy", nullable=False),
        _time("cleared_at"),
        _time("acknowledged_at"),
        _text("acknowledged_by", 200),
        _text("note"),
        sa.Column("opened_notice_id", _BIG, nullable=True),
        sa.Column("cleared_notice_id", _BIG, nullable=True),
        _time("done_at"),
        _device("alerts"),
    )
    unique = ["organisation_id", "subject", "kind"]
    _index("uq_alerts_organisation_id_subject_kind", "alerts", unique, _NOT_CLEARED, unique=True)
    _index("ix_alerts_not_done", "alerts", ["alert_id"], _NOT_DONE)
    _index("ix_alerts_organisation_id_alert_id", "alerts", ["organisation_id", "alert_id"])
    _index("ix_alerts_device_key_alert_id", "alerts", ["device_key", "alert_id"])
    _table(
        "silences",
        "silence_id",
        _text("device_key", 128),
        _text("site", 100),
        _text("kind", 30),
        _time("until", nullable=False),
        _text("note"),
        _text("created_by", 200, nullable=False),
        _time("created_at", nullable=False),
        _device("silences"),
    )
    _index("ix_silences_organisation_id_until", "silences", ["organisation_id", "until"])
    _table(
        "channels",
        "channel_id",
        _text("type", 20, nullable=False),
        _text("name", 100, nullable=False),
        _text("target", nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("kinds", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        _time("created_at", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        _text("last_answer"),
        _time("last_at"),
        sa.UniqueConstraint("organisation_id", "name", name=op.f("uq_channels_organisation_id_name")),
    )
    _table(
        "notices",
        "notice_id",
        _text("type", 30, nullable=False),
        _text("title", nullable=False),
        _text("text", nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        _time("created_at", nullable=False),
    )
    _table(
        "deliveries",
        "delivery_id",
        sa.Column("notice_id", _BIG, nullable=False),
        sa.Column("channel_id", _BIG, nullable=False),
        _time("created_at", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _time("next_at", nullable=False),
        _time("ended_at"),
        sa.Column("delivered", sa.Boolean(), server_default=sa.false(), nullable=False),
        _text("answer"),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.channel_id"], name=op.f("fk_deliveries_channel_id"), ondelete="CASCADE"
        ),
    )
    _index("ix_deliveries_next_at", "deliveries", ["next_at"], _NOT_ENDED)
    _index("ix_deliveries_channel_id_delivery_id", "deliveries", ["channel_id", "delivery_id"])
    _table("leases", "name", _text("holder", 32, nullable=False), _time("until", nullable=False))
