"""Devices have names, notes, groups and tags."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _organisation() -> sa.Column[str]:
    return sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False)


def _refers(table: str, column: str, to: str, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.{column}"], name=op.f(f"fk_{table}_{column}"), ondelete=ondelete)


def upgrade() -> None:
    for name, length in (("name", 300), ("notes", None)):
        op.add_column("devices", sa.Column(name, sa.String(length=length), nullable=True))
    op.create_table(
        "device_groups",
        _organisation(),
        sa.Column("group_id", _BIG, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        _refers("device_groups", "organisation_id", "organisations"),
        sa.PrimaryKeyConstraint("group_id", name=op.f("pk_device_groups")),
        sa.UniqueConstraint("organisation_id", "name", name=op.f("uq_device_groups_organisation_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "group_members",
        _organisation(),
        sa.Column("group_id", _BIG, nullable=False),
        sa.Column("device_key", sa.String(length=128), nullable=False),
        _refers("group_members", "organisation_id", "organisations"),
        _refers("group_members", "group_id", "device_groups", ondelete="CASCADE"),
        _refers("group_members", "device_key", "devices"),
        sa.PrimaryKeyConstraint("group_id", "device_key", name=op.f("pk_group_members")),
    )
    op.create_index("ix_group_members_device_key", "group_members", ["device_key"])
    op.create_table(
        "device_tags",
        _organisation(),
        sa.Column("device_key", sa.String(length=128), nullable=False),
        sa.Column("tag", sa.String(length=50), nullable=False),
        _refers("device_tags", "organisation_id", "organisations"),
        _refers("device_tags", "device_key", "devices"),
        sa.PrimaryKeyConstraint("device_key", "tag", name=op.f("pk_device_tags")),
    )
    op.create_index(
        "ix_device_tags_organisation_id_tag_device_key", "device_tags", ["organisation_id", "tag", "device_key"]
    )
