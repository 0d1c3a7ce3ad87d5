"""A device's pictures by when they were taken."""

from visant_cloud.migrations.indexes import build_index

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    build_index("ix_captures_device_key_captured_at_seq", "captures", "device_key", "captured_at", "seq")
