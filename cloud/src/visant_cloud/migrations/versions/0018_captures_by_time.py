"""All pictures by when they were taken."""

from visant_cloud.migrations.indexes import build_index

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    build_index("ix_captures_organisation_id_captured_at_seq", "captures", "organisation_id", "captured_at", "seq")
