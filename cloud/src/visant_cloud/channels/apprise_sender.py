"""The process that sends one message through Apprise: an order in, an answer out.

Apprise has 180 plugins, each with a way of its own to open connections. So the rule about addresses is held where all
of them must pass: at each connect of a socket, by an audit hook (PEP 578), which cannot be taken away again. It sees
the address that is really connected to, so neither a redirect nor a name that changes its mind gets past it.
"""

import ipaddress
import json
import logging
import re
import resource
import sys
from typing import Any

from visant_cloud.channels.address import why_forbidden

_CONNECTS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_PROGRAMS = ("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system")
_CPU = 30
"""Seconds."""


class Guard:
    """`refused`: what was not connected to, and why."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self.refused: list[str] = []

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook. Raises OSError: whoever connects takes it for a network that is away."""
        if event in _PROGRAMS:
            raise OSError("no programs are run here")
        if event not in _CONNECTS or self._allow_private or arguments[1] is None:
            return
        why = self._why(arguments[1])
        if why is not None:
            self.refused.append(why)
            raise OSError(why)

    @staticmethod
    def _why(address: Any) -> str | None:
        host = address[0] if isinstance(address, tuple) and address else None
        try:
            found = ipaddress.ip_address(str(host).partition("%")[0])
        except ValueError:
            return "not an address of the internet"
        why = why_forbidden(found)
        return None if why is None else f"{found}: {why}; ALERT_ALLOW_PRIVATE=1 lets it be"


class Statuses(logging.Handler):
    """Keeps the HTTP status of what Apprise logs, and none of its words: they may hold parts of the URL."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.last: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """logging's."""
        found = re.search(r"error=(\d{3})\b", record.getMessage())
        self.last = found[1] if found else self.last


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Does it. Without a text it only says whether the URL can be read."""
    guard, statuses = Guard(bool(order.get("allow_private"))), Statuses()
    import apprise  # before the hook: what it does when it is imported concerns nobody

    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [statuses], False
    sys.addaudithook(guard.hear)
    asset = apprise.AppriseAsset(http_redirects=False, secure_logging=True)
    sender = apprise.Apprise(asset=asset)
    if not sender.add(order["url"]):
        return {"taken": False, "text": "Apprise cannot read its URL"}
    if "text" not in order:
        return {"taken": True, "text": ""}
    taken = bool(sender.notify(body=order["text"], title=order["title"], body_format=apprise.NotifyFormat.TEXT))
    if guard.refused:
        return {"taken": False, "text": f"not sent: {guard.refused[-1]}"}
    if taken:
        return {"taken": True, "text": "taken"}
    said = f"HTTP {statuses.last}" if statuses.last else "no connection, or no answer"
    return {"taken": False, "text": f"not taken: {said}"}


def main() -> int:
    """Standard input to standard output."""
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU, _CPU))
    order = json.load(sys.stdin)
    try:
        said = answer(order)
    except Exception as error:  # noqa: BLE001 - whatever a plugin does; its text may hold the URL
        said = {"taken": False, "text": f"a fault of Apprise: {type(error).__name__}"}
    json.dump(said, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
