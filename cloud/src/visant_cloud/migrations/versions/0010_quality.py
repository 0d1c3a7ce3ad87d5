"""Pictures have a verdict, and devices a normal that it is found by."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NOT_USEFUL = sa.text("state != 'useful'")
_REFERRED = sa.text("reference_record_id IS NOT NULL")


def upgrade() -> None:
    for column in (
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("evaluated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("figures", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("own_evaluation", sa.JSON(none_as_null=True), nullable=True),
    ):
        op.add_column("captures", column)
    op.create_table(
        "device_quality",
        sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("device_key", sa.String(length=128), nullable=False),
        sa.Column("version", _BIG, nullable=False),
        sa.Column("normal", sa.Text(), nullable=False),
        sa.Column("views", sa.Text(), nullable=False),
        sa.Column("reference_record_id", sa.String(length=32), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("mask", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("record_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_device_quality_organisation_id")
        ),
        sa.ForeignKeyConstraint(["device_key"], ["devices.device_key"], name=op.f("fk_device_quality_device_key")),
        sa.PrimaryKeyConstraint("device_key", name=op.f("pk_device_quality")),
    )
    op.create_index(
        "ix_device_quality_organisation_id",
        "device_quality",
        ["organisation_id"],
        sqlite_where=_NOT_USEFUL,
        postgresql_where=_NOT_USEFUL,
    )
    op.create_index(
        "ix_device_quality_reference_record_id",
        "device_quality",
        ["reference_record_id"],
        sqlite_where=_REFERRED,
        postgresql_where=_REFERRED,
    )
