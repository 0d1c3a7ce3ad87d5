"""Keeps the site's other computers out of the containers' networks, where the Engine does not.

Before Engine 28 whoever routes a container's address to this host reaches its published port, also one that is
published on 127.0.0.1 only (moby/moby issue 45610). The rules stand in the Engine's own chain for such rules, which it
leaves alone; they are gone after a restart of the host and are set at each start of the services.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from visantctl.errors import EngineFailed
from visantctl.host.engine import Engine

_SAFE_SINCE = 28
_CHAIN = "DOCKER-USER"
_OURS = re.compile(rf"-A {_CHAIN} ! -i (\S+) -o \1 -m conntrack --ctstate NEW -j DROP")
_PROJECT = "com.docker.compose.project"


def keep_out(engine: Engine, project: str) -> None:
    """Let nobody but this host open a connection into the project's networks. `open_bridges` says whether it worked."""
    bridges = open_bridges(engine, project)
    for bridge in bridges:
        _iptables("-I", *_rule(bridge))
    if bridges:
        for stale in _OURS.findall(_iptables("-S", _CHAIN) or ""):
            if stale not in bridges and not Path("/sys/class/net", stale).exists():
                _iptables("-D", *_rule(stale))


def open_bridges(engine: Engine, project: str) -> list[str]:
    """The bridges of the project's networks through which a neighbour may come."""
    version = re.match(r"\d+", engine.run("version", "--format", "{{.Server.Version}}"))
    if version and int(version[0]) >= _SAFE_SINCE:
        return []
    return [bridge for bridge in _bridges(engine, project) if _iptables("-C", *_rule(bridge)) is None]


def _bridges(engine: Engine, project: str) -> list[str]:
    """Those that lead outside: the Engine keeps internal ones shut."""
    try:
        found = engine.run("network", "ls", "--quiet", "--filter", f"label={_PROJECT}={project}").split()
        networks = json.loads(engine.run("network", "inspect", *found)) if found else []
    except (EngineFailed, ValueError):  # one of them has just gone
        return []
    return [
        (one.get("Options") or {}).get("com.docker.network.bridge.name") or f"br-{one['Id'][:12]}"
        for one in networks
        if one.get("Driver") == "bridge" and not one.get("Internal")
    ]


def _rule(bridge: str) -> tuple[str, ...]:
    """Answers to connections that the containers opened still come in."""
    return (_CHAIN, "!", "-i", bridge, "-o", bridge, "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP")


def _iptables(*arguments: str) -> str | None:
    """What it printed; None where it failed, or is not here."""
    try:
        done = subprocess.run(
            ["iptables", "--wait", "10", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
