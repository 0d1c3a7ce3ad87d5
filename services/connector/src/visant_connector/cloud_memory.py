"""What outlives a stream: which cloud spoke last, its clock, and the settings of it that were admitted."""

import json
from typing import Any

from visant_connector.cloud_clock import CloudClock
from visant_connector.command_entries import Scope

PLAIN_AFTER = 3
"""Streams in a row without a cloud_id after which a cloud that named one counts as a plain one: one bad line, or one
cut by a proxy, does not change who speaks, and a cloud that was set back to an older version is served all the same."""


class CloudMemory:
    """One per process."""

    def __init__(self) -> None:
        self.clock = CloudClock()
        self._scope: Scope | None = None
        self._config: str | None = None
        self._nameless = 0

    def begin_with(self, scope: Scope) -> None:
        """What an earlier process knew."""
        self._scope = scope

    def believes(self, scope: Scope) -> bool:
        """Whether that is who speaks; a plain cloud in the place of one that named itself is so only after a while."""
        if not scope.plain or self._scope is None or self._scope.plain:
            self._nameless = 0
            return True
        self._nameless += 1
        return self._nameless >= PLAIN_AFTER

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
