"""Jobs, batches of enrolment codes, and devices that were deleted."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _organisation() -> sa.Column[str]:
    return sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False)


def _refers(table: str, column: str, to: str, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.{column}"], name=op.f(f"fk_{table}_{column}"), ondelete=ondelete)


def _text(name: str, length: int | None = None, nullable: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=nullable)


def _time(name: str, nullable: bool = True) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    for column in (_text("search"), _time("deleted_at"), sa.Column("deletion_job_id", _BIG, nullable=True)):
        op.add_column("devices", column)
    for column in (
        sa.Column("batch_id", _BIG, nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        _text("name", 300),
        _time("revoked_at"),
    ):
        op.add_column("enrol_codes", column)
    op.create_table(
        "enrol_batches",
        _organisation(),
        sa.Column("batch_id", _BIG, autoincrement=True, nullable=False),
        _text("title", 300, nullable=False),
        sa.Column("group_id", _BIG, nullable=True),
        _text("created_by", 200, nullable=False),
        _time("created_at", nullable=False),
        _time("expires_at", nullable=False),
        _refers("enrol_batches", "organisation_id", "organisations"),
        _refers("enrol_batches", "group_id", "device_groups", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_enrol_batches")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_enrol_batches_organisation_id_batch_id", "enrol_batches", ["organisation_id", "batch_id"])
    op.create_table(
        "jobs",
        _organisation(),
        sa.Column("job_id", _BIG, autoincrement=True, nullable=False),
        _text("kind", 30, nullable=False),
        _text("status", 20, nullable=False),
        sa.Column("given", sa.JSON(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rate", sa.Float(), nullable=True),
        _text("detail"),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        _text("created_by", 200, nullable=False),
        _time("created_at", nullable=False),
        _time("started_at"),
        _time("ended_at"),
        _text("idempotency_key", 512),
        _text("request_hash", 64),
        _refers("jobs", "organisation_id", "organisations"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_jobs")),
        sqlite_autoincrement=True,
    )
    keyed, is_open = sa.text("idempotency_key IS NOT NULL"), sa.text("ended_at IS NULL")
    columns = ["organisation_id", "idempotency_key"]
    op.create_index(
        "uq_jobs_organisation_id_idempotency_key",
        "jobs",
        columns,
        unique=True,
        sqlite_where=keyed,
        postgresql_where=keyed,
    )
    op.create_index("ix_jobs_open", "jobs", ["job_id"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_index("ix_jobs_organisation_id_job_id", "jobs", ["organisation_id", "job_id"])
    op.create_index("ix_jobs_ended_at", "jobs", ["ended_at"])
    op.create_table(
        "job_items",
        _organisation(),
        sa.Column("job_id", _BIG, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        _text("subject", 128, nullable=False),
        _text("outcome", 20),
        _text("detail"),
        _refers("job_items", "organisation_id", "organisations"),
        _refers("job_items", "job_id", "jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_job_items")),
    )
