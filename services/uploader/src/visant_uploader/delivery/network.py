"""Notices a new network address, so that delivery need not sit out a wait that a dead network began.

Reads three small files of /proc instead of listening to netlink. In a container it sees the container's network
only; there a confirmed stream ends the waits.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from visant_runtime.lifecycle import Stop

LOOK_EVERY = 5.0
FILES = (Path("/proc/net/route"), Path("/proc/net/fib_trie"), Path("/proc/net/if_inet6"))


class NetworkWatch:
    """Calls `changed` when addresses or routes differ from the last look."""

    def __init__(self, changed: Callable[[], None], files: tuple[Path, ...] = FILES) -> None:
        self._changed = changed
        self._files = files

    async def run(self, stop: Stop) -> None:
        """Looks until stopped."""
        before = self.fingerprint()
        while not await stop.sleep(LOOK_EVERY):
            now = self.fingerprint()
            if now != before:
                self._changed()
            before = now

    def fingerprint(self) -> str:
        """Of addresses and routes as they are now."""
        digest = hashlib.sha256()
        for file in self._files:
            try:
                digest.update(file.read_bytes())
            except OSError:
                digest.update(b"-")
        return digest.hexdigest()
