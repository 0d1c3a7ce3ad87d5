"""Why a service does not run, in its own words or the Engine's; and who has the port that it wants."""

from __future__ import annotations

import re

from visantctl.errors import Problem
from visantctl.host.programs import ask
from visantctl.host.redact import redact
from visantctl.releases.stack import Container, containers
from visantctl.wiring import Device

_TAKEN = re.compile(r"(?:listen tcp\S* \S*|[Bb]ind for \S*?):(\d+)(?:: bind: address already in use| failed: port is)")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
"""Compose clears lines even without a terminal."""
_LINES = 100
"""Of a log, from its end: a start that fails says few."""
_KEPT = 400


def reasons(device: Device) -> dict[str, str]:
    """Service to its reason, for each that does not run well and gives one."""
    found = {}
    for one in containers(device.engine, device.settings.project):
        if (one.well or one.starting) and not one.restarts:
            continue
        try:
            said = _engines_word(device, one) or _last_word(device, one)
        except Problem:  # it went away in between
            continue
        if said:
            found[one.service] = said[:_KEPT]
    return found


def _engines_word(device: Device, one: Container) -> str:
    """Why the Engine did not start it. It keeps that of the last failure, also when the container runs by now."""
    if one.status == "running":
        return ""
    said = " ".join(device.engine.run("inspect", "--format", "{{.State.Error}}", one.id).split())
    taken = _TAKEN.search(said)
    if not taken:
        return said
    port = int(taken.group(1))
    return f"port {port} is taken{_by(holder(device, port))} ({said})"


def _last_word(device: Device, one: Container) -> str:
    """The newest error line of its log, else its newest line."""
    words = ("compose", "--ansi", "never", "--project-name", device.settings.project)
    logs = ("logs", "--no-color", "--no-log-prefix", "--tail", str(_LINES), one.service)
    return last_word(device.engine.run(*words, *logs, timeout=30))


def last_word(log: str) -> str:
    """The newest line of `log` that is an error, as text or as JSON, else its newest line; empty without any."""
    lines = [line for raw in log.splitlines() if (line := _CONTROL.sub("", raw).strip())]
    errors = [line for line in lines if re.search(r'\[ERROR\]|"level": ?"error"', line)]
    return redact((errors or lines or [""])[-1])


def holder(device: Device, port: int) -> str:
    """Who listens on this TCP port: a container's name, or a program and its process; empty where it cannot be seen."""
    names = device.engine.run("ps", "--filter", f"publish={port}", "--format", "{{.Names}}").split()
    if names:
        return f"the container {names[0]}"
    listening = ask("ss", "--no-header", "--listening", "--tcp", "--numeric", "--processes", f"sport = :{port}") or ""
    return program(listening)


def program(listening: str) -> str:
    """From what ss(8) prints: `nginx (process 812)`; only root is told."""
    found = re.search(r'users:\(\("([^"]+)",pid=(\d+)', listening)
    return f"{found[1]} (process {found[2]})" if found else ""


def _by(who: str) -> str:
    return f" by {who}" if who else ""
