"""People and programs have roles; invites; who changed what."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _organisation() -> sa.Column[str]:
    return sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False)


def _refers(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["organisation_id"], ["organisations.organisation_id"], name=op.f(f"fk_{table}_organisation_id")
    )


def _text(name: str, length: int | None = None, nullable: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=nullable)


def _time(name: str, nullable: bool = True) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    for table in ("memberships", "api_tokens"):  # whoever was let in before could do everything
        op.add_column(table, sa.Column("role", sa.String(length=20), server_default="admin", nullable=False))
        op.add_column(table, sa.Column("group_ids", sa.JSON(none_as_null=True), nullable=True))
    op.execute(
        "INSERT INTO memberships (organisation_id, operator_id) SELECT organisation_id, operator_id FROM operators "
        "WHERE NOT EXISTS (SELECT 1 FROM memberships WHERE memberships.operator_id = operators.operator_id "
        "AND memberships.organisation_id = operators.organisation_id)"
    )
    for column in (_time("expires_at"), _time("last_used_at"), _text("created_by", 200)):
        op.add_column("api_tokens", column)
    for column in (_text("address", 64), _text("agent", 200), _time("seen_at")):
        op.add_column("sessions", column)
    op.create_index("ix_sessions_operator_id", "sessions", ["operator_id"])
    op.create_table(
        "invites",
        _organisation(),
        _text("invite_hash", 64, nullable=False),
        _text("name", 200, nullable=False),
        _text("role", 20, nullable=False),
        sa.Column("group_ids", sa.JSON(none_as_null=True), nullable=True),
        _text("created_by", 200, nullable=False),
        _time("created_at", nullable=False),
        _time("expires_at", nullable=False),
        _refers("invites"),
        sa.PrimaryKeyConstraint("invite_hash", name=op.f("pk_invites")),
    )
    op.create_table(
        "audit",
        _organisation(),
        sa.Column("audit_id", _BIG, autoincrement=True, nullable=False),
        _time("at", nullable=False),
        _text("who", 200, nullable=False),
        _text("way", 10, nullable=False),
        _text("address", 64),
        _text("action", 200, nullable=False),
        _text("object", 600, nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(none_as_null=True), nullable=True),
        _refers("audit"),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    for columns in (["organisation_id", "audit_id"], ["organisation_id", "object", "audit_id"], ["at"]):
        op.create_index(f"ix_audit_{'_'.join(columns)}", "audit", columns)
