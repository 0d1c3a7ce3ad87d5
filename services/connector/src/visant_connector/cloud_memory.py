"""What outlives a stream: which cloud spoke last, its clock, and the settings of it that were admitted."""

import json
from typing import Any

from visant_connector.cloud_clock import CloudClock
from visant_connector.command_entries import Scope


class CloudMemory:
    """One per process."""

    def __init__(self) -> None:
        self.clock = CloudClock()
        self._scope: Scope | None = None
        self._config: str | None = None

    def is_now(self, scope: Scope) -> bool:
        """`scope` speaks; True: it is another cloud than before, and nothing known of the old one holds."""
        before, self._scope = self._scope, scope
        if before == scope:
            return False
        self.clock = CloudClock()
        self._config = None
        return before is not None

    def is_new(self, config: dict[str, Any]) -> bool:
        """Whether these settings are others than those that were admitted last."""
        return _canonical(config) != self._config

    def config_admitted(self, config: dict[str, Any]) -> None:
        """Redis has these settings."""
        self._config = _canonical(config)

    def forget_config(self) -> None:
        """Redis has lost what it had."""
        self._config = None


def _canonical(config: dict[str, Any]) -> str:
    return json.dumps(config, sort_keys=True)
