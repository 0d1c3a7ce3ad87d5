"""Indexes that keep a long ledger quick: the open triggers of a device, and the totals."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OPEN = sa.text("status IN ('pending', 'sent')")


def upgrade() -> None:
    op.create_index("ix_triggers_open", "triggers", ["device_id", "seq"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index("ix_triggers_status_reason", "triggers", ["status", "reason"])
