"""What outlives a stream: which cloud spoke last, its clock, and the settings it sent."""

from visant_connector.cloud_clock import CloudClock
from visant_connector.command_entries import Scope


class CloudMemory:
    """One per process."""

    def __init__(self) -> None:
        self.scope: Scope | None = None
        self.clock = CloudClock()
        self.config: str | None = None

    def is_now(self, scope: Scope) -> bool:
        """`scope` speaks; True: it is another cloud than before, and nothing known of the old one holds."""
        before, self.scope = self.scope, scope
        if before == scope:
            return False
        self.clock = CloudClock()
        self.config = None
        return before is not None
