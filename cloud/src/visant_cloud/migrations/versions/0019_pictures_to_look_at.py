"""Pictures that are not useful, by when they were taken: they are few."""

from visant_cloud.migrations.indexes import build_index

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    build_index(
        "ix_captures_not_useful", "captures", "organisation_id", "captured_at", "seq", where="state <> 'useful'"
    )
