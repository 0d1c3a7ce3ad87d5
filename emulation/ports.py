"""Free TCP ports that stay ours from the choice to the bind, and over every restart.

Asking the kernel for port 0 and binding the number later is a race: two emulations at once, or any outgoing
connection, may take it in between. So a number is taken below the range of outgoing connections (Linux: from
32768) and held by a lock file for as long as this process lives.
"""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

FIRST, LAST = 18000, 31999

_held: dict[int, int] = {}


class NoFreePort(Exception):
    """Every port tried is taken."""


def hold_port(usual: int | None = None, *, host: str = "127.0.0.1") -> int:
    """A port that nobody listens on, `usual` where it is free; other emulations keep off it until this process ends.

    Raises NoFreePort after 200 tries.
    """
    tries = [usual] if usual else []
    tries += random.sample(range(FIRST, LAST + 1), 200)
    for port in tries:
        if port not in _held and _bindable(host, port) and _lock(port):
            return port
    raise NoFreePort(f"200 ports between {FIRST} and {LAST} are taken")


def release_port(port: int) -> None:
    """Gives the number back; unknown numbers are ignored."""
    descriptor = _held.pop(port, None)
    if descriptor is not None:
        os.close(descriptor)


def _bindable(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _lock(port: int) -> bool:
    folder = Path(tempfile.gettempdir()) / f"visant-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    _held[port] = descriptor
    return True
