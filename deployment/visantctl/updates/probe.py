"""What a running stack can do right now, asked from the outside."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

from visantctl.errors import EngineFailed
from visantctl.host.engine import Engine
from visantctl.releases.stack import Container, containers

SNAPSHOT_TIMEOUT = 12.0
"""Seconds for one picture."""
COMMANDS = "visant:commands"
"""The stream of admitted commands: an entry is there from its admission until its outcome is on the medium."""


@dataclass(frozen=True)
class Observation:
    """One look at all services."""

    containers: tuple[Container, ...]
    redis: bool
    """Answers PONG."""
    camera: str
    """`serving`; `degraded: <reason>`, said by the camera itself; or `silent: <why>`."""
    stream: bool
    """The connector says that the cloud's stream is confirmed."""
    unwell: tuple[str, ...] = ()
    """Running services whose health command, asked now, does not end well. The Engine asks it twice a minute only."""

    def service(self, name: str) -> Container | None:
        """The service's container, if it has exactly one."""
        found = [one for one in self.containers if one.service == name]
        return found[0] if len(found) == 1 else None


def observe(engine: Engine, project: str) -> Observation:
    """Look once. EngineAway passes through; all else is an observation."""
    found = tuple(containers(engine, project))
    named = {one.service: one for one in found if one.status == "running"}
    return Observation(
        containers=found,
        redis="redis" in named and _redis(engine, named["redis"], "PING") == "PONG",
        camera=_camera(named["camera"]) if "camera" in named else "silent: no running container",
        stream="connector" in named and _says_healthy(engine, named["connector"]),
        unwell=tuple(sorted(name for name, one in named.items() if _health(engine, one) is None)),
    )


def commands_waiting(engine: Engine, project: str) -> int | None:
    """Commands admitted and not yet finished; None when Redis does not say."""
    redis = next((one for one in containers(engine, project) if one.service == "redis"), None)
    answer = _redis(engine, redis, "XLEN", COMMANDS) if redis is not None and redis.status == "running" else ""
    return int(answer) if answer.isdigit() else None


def wait_until_idle(engine: Engine, project: str, patience: float) -> bool:
    """Wait until no capture is in flight, at most `patience` seconds; False when there still is one.

    A command that arrives after the look is not lost either: it waits in Redis for the new release.
    """
    deadline = time.monotonic() + patience
    while commands_waiting(engine, project):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.2)
    return True


def _redis(engine: Engine, container: Container, *command: str) -> str:
    try:
        return engine.run("exec", container.id, "redis-cli", *command, timeout=15).strip()
    except EngineFailed:
        return ""


def _says_healthy(engine: Engine, container: Container) -> bool:
    """True for a plain `healthy`; a service that lacks its cloud or camera says `degraded: ...` and also exits 0."""
    return (_health(engine, container) or "").startswith("healthy") if container.health_command else container.well


def _health(engine: Engine, container: Container) -> str | None:
    """What its health command says; None where that does not end well."""
    if not container.health_command:
        return ""
    try:
        return engine.run("exec", container.id, *container.health_command, timeout=20)
    except EngineFailed:
        return None


def _camera(container: Container) -> str:
    if not container.ports:
        return "silent: its port is not published on this host"
    _, host, port = container.ports[0]
    host = "127.0.0.1" if host in ("", "0.0.0.0") else host
    try:
        # No proxy: this is the host's own loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{host}:{port}/snapshot", timeout=SNAPSHOT_TIMEOUT) as answer:
            body: bytes = answer.read()
        if body.startswith(b"\xff\xd8") and b"\xff\xd9" in body[-4096:]:
            return "serving"
        return f"silent: {len(body)} bytes that are no whole JPEG"
    except urllib.error.HTTPError as error:
        return f"degraded: {_problem(error)}" if error.code == 503 else f"silent: it answered {error.code}"
    except (OSError, ValueError) as error:
        return f"silent: {error}"


def _problem(error: urllib.error.HTTPError) -> str:
    try:
        value = json.loads(error.read(10_000))
        return str(value.get("reason") or value.get("title") or value.get("detail") or "no reason given")
    except (OSError, ValueError, AttributeError):
        return "no reason given"
