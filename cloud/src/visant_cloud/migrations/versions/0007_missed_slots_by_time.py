"""Missed slots by their time: what is too old is removed without a look at all of them."""

from visant_cloud.migrations.indexes import build_index

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    build_index("ix_missed_slots_last_at", "missed_slots", "last_at")
