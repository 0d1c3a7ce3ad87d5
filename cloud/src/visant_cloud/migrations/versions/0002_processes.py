"""The cloud's processes on one database, each with the streams it holds."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "processes",
        sa.Column("organisation_id", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("process_id", sa.String(length=32), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("streams", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.organisation_id"], name=op.f("fk_processes_organisation_id")
        ),
        sa.PrimaryKeyConstraint("process_id", name=op.f("pk_processes")),
    )
