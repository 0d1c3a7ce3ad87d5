"""Remote access by Tailscale: a way in for the fleet's owner, never a way through.

The daemon is Tailscale's own package. This joins the tailnet with a key that no process list shows, under the name
`visant-<id>`, and switches off what a device at a customer's site has no business doing: taking routes and names from
the tailnet, and offering any.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from visantctl.errors import Misconfigured, Problem, Unreachable
from visantctl.host.programs import ask

_TIMEOUT = 60
"""Seconds for the daemon to reach its coordination server."""
_AWAY = re.compile(
    r"timeout|timed out|deadline|no such host|unreachable|connection refused|not running|failed to connect"
)


def installed() -> bool:
    """Whether the `tailscale` command is there."""
    return shutil.which("tailscale") is not None


def checked_key(text: str) -> str:
    """The key in `text`; Misconfigured where it is none."""
    key = text.strip()
    if len(key.split()) != 1 or not re.fullmatch(r"[\x21-\x7e]{8,300}", key):
        raise Misconfigured("a Tailscale auth key is one word such as tskey-auth-...: make one in the admin console")
    return key


def join(name: str, key: str) -> None:
    """Become `name` in the tailnet. Without a key: an already joined device gets name and switches set again.

    Raises Unreachable where trying again may help, Problem with Tailscale's own words otherwise.
    """
    if not installed():
        raise Problem("tailscale is not installed: https://tailscale.com/download/linux, then this command again")
    # `up` with flags forgets all that it is not told (--reset), so this is the whole of it every time.
    command = [
        "tailscale", "up", "--reset", f"--hostname={name}", "--accept-routes=false", "--accept-dns=false",
        "--advertise-routes=", "--advertise-exit-node=false", f"--timeout={_TIMEOUT}s",
    ]  # fmt: skip
    handle, path = tempfile.mkstemp(prefix="visant-", dir="/run" if os.access("/run", os.W_OK) else None)
    try:
        if key:
            os.write(handle, checked_key(key).encode())  # mkstemp made it readable for its owner alone
            command.append(f"--auth-key=file:{path}")
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT + 30, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unreachable("tailscale did not answer: is this site's way out blocked?") from None
    finally:
        os.close(handle)
        Path(path).unlink(missing_ok=True)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).replace(key or "\0", "********").split())[-300:]
        kind = Unreachable if _AWAY.search(said.lower()) else Problem
        raise kind(f"tailscale: {said or f'exit code {done.returncode}'}")


def state() -> dict[str, Any]:
    """What `tailscale status` knows; empty where it is not installed or does not answer."""
    try:
        value = json.loads(ask("tailscale", "status", "--json") or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
