"""Indexes of the ledger over the fleet: by when a trigger was made, of all, of a device, and of what went wrong."""

from visant_cloud.migrations.indexes import build_index

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # each is there already where this was killed behind it
    build_index("ix_triggers_organisation_id_created_at_seq", "triggers", "organisation_id", "created_at", "seq")
    build_index("ix_triggers_device_key_created_at_seq", "triggers", "device_key", "created_at", "seq")
    gap = "reason IS NOT NULL OR gap IS NOT NULL"
    build_index("ix_triggers_gaps", "triggers", "organisation_id", "created_at", "seq", where=gap)
