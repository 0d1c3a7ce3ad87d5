"""The question after a service's health: what heartbeat.py wrote, read and judged.

`visant-x health` asks it, and so does `python3 -I -S health.py x` without the start of a command line: an Engine asks
every 30 s, which costs more than all else that an idle device does. So nothing is imported that can be done without:
argparse, pathlib and tempfile alone take as long as Python itself takes to start.
"""

import json
import os
import sys
import time
from collections.abc import Mapping

TYPE_CHECKING = False  # the standard library's is in `typing`, which costs as much as all that is imported here
if TYPE_CHECKING:
    from typing import Any

_RUN = "/run/visant"


def default_path(service: str) -> str:
    """Where `service` beats: HEARTBEAT_FILE, else /run/visant (containers), else the temporary folder."""
    named = os.environ.get("HEARTBEAT_FILE")
    if named:
        return named
    if os.access(_RUN, os.W_OK):
        return f"{_RUN}/{service}.heartbeat"
    from tempfile import gettempdir

    return os.path.join(gettempdir(), f"visant-{service}-{os.getuid()}.heartbeat")


def health(path: "str | os.PathLike[str]") -> tuple[int, str]:
    """(exit status, one line): 0 where every expected loop has beaten in time, else 1."""
    try:
        with open(path) as file:
            found = json.load(file)
        late = late_parts(found)
        started = bool(found["loops"])
        degraded = found["degraded"]
    except FileNotFoundError:
        return 1, f"unhealthy: no heartbeat at {path}: is the service running?"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return 1, f"unhealthy: {path} cannot be read: {error}"
    if late or not started:
        return 1, "unhealthy: " + ("; ".join(late) or "no loop has started")
    if degraded:
        return 0, "degraded: " + "; ".join(f"{part}: {reason}" for part, reason in degraded.items())
    return 0, "healthy"


def late_parts(found: "Mapping[str, Any]") -> list[str]:
    """What stands still by a heartbeat as it is written. One from before a power cut lies in the future: also late."""
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    named = [(f"{name} last finished", one) for name, one in found["loops"].items()]
    named += [(f"{one['name']} began", one) for one in found.get("works", [])]
    ages = [(what, now - one["at"], one["max_age"]) for what, one in named]
    return [f"{what} {age:.0f} s ago (at most {limit:.0f})" for what, age, limit in ages if not 0 <= age <= limit]


def health_command(service: str) -> int:
    """Prints the line, returns the status."""
    status, line = health(default_path(service))
    print(line)
    return status


if __name__ == "__main__":
    sys.exit(health_command(sys.argv[1]))
