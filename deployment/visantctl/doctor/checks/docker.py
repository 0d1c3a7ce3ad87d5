"""The Engine, the release and its containers."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.errors import Problem
from visantctl.host.programs import ask
from visantctl.network import address_pools, engine_uplink, neighbours
from visantctl.releases.stack import containers
from visantctl.service.status import status
from visantctl.wiring import Device

_PATIENCE = 60.0
"""Seconds that services may take to start: Compose's start_period and some."""
_START = ("systemctl", "restart", "visant-device-v2.service")


def engine(device: Device) -> Iterator[Finding]:
    """Docker itself, and the addresses it uses."""
    if not device.engine.answers():
        yield fail(
            "docker",
            "the Docker Engine does not answer",
            "sudo systemctl restart docker; journalctl -u docker",
            "systemctl",
            "start",
            "docker.service",
        )
        return
    version = device.engine.run("version", "--format", "{{.Server.Version}}").strip()
    compose = device.engine.run("compose", "version", "--short").strip()
    yield good("docker", f"Engine {version}, Compose {compose}")
    ids = device.engine.run("network", "ls", "--quiet").split()
    used = [
        str(one["Subnet"])
        for network in json.loads(device.engine.run("network", "inspect", *ids) if ids else "[]")
        for one in (network.get("IPAM") or {}).get("Config") or ()
        if ":" not in str(one.get("Subnet", ":"))
    ]
    found = address_pools.clashes(used, address_pools.site_routes())
    if found:
        yield fail(
            "docker",
            f"Docker's network {found[0]} of this site: one of them cannot be reached",
            "sudo visantctl address-pools --write, then sudo reboot",
        )
    yield from pools(Path("/etc/docker/daemon.json"))
    if os.geteuid() == 0 and neighbours.open_bridges(device.engine, device.settings.project):
        yield warn(
            "docker",
            "other computers of this site's network can reach the camera (an Engine before 28, and no rule against it)",
            "sudo systemctl restart visant-device-v2 sets the rule; is iptables there? Or install Engine 28 or newer",
            *_START,
        )
    yield from uplink(device)


def pools(file: Path) -> Iterator[Finding]:
    """Whether the addresses that Docker will give away next keep away from the site's routes."""
    try:
        settings = json.loads(file.read_text()) if file.exists() else {}
        fits = address_pools.daemon_settings(settings, address_pools.site_routes()) == settings
    except (ValueError, AttributeError) as error:
        yield fail("docker", f"{file}: {error}", f"edit {file}: it must be one JSON object")
        return
    if fits:
        yield good("docker", "its address pools overlap no network of this site")
    else:
        yield warn(
            "docker",
            "new networks of Docker may take addresses of this site's networks",
            "sudo visantctl address-pools --write (good from the Engine's next start on)",
            *("visantctl", "address-pools", "--write"),
        )


def uplink(device: Device) -> Iterator[Finding]:
    """The Engine pulls images the way that `.env.device` names."""
    wanted = engine_uplink.wanted_environment(device.place)
    drop_in, file = engine_uplink.files(device.place)
    there = file.read_text() if file.is_file() and drop_in.is_file() else ""
    remedy = "sudo visantctl uplink (restarts the Engine and the services)"
    if wanted != there:
        yield warn("docker", "the Engine does not use the proxy and CA file of .env.device", remedy)
    elif "HTTPS_PROXY=" in wanted:
        if device.engine.run("info", "--format", "{{.HTTPSProxy}}").strip():
            yield good("docker", "the Engine uses the site's proxy")
        else:
            yield warn("docker", "the Engine was not restarted since it was given the proxy", remedy)


def stack(device: Device) -> Iterator[Finding]:
    """The release that should run, and what does."""
    value = _when_started(device)
    if value["state"] == "no_engine":
        return
    if value["state"] == "empty":
        yield fail("release", "no release is installed", "run install_device.sh --from RELEASE.TAR")
        return
    if value["state"] == "ok":
        yield good("release", f"{value['version']}: all {len(value['services'])} services run")
    elif value["state"] == "starting":
        slow = [name for name, one in sorted(value["services"].items()) if one["health"] == "starting"]
        yield warn("release", f"still starting: {', '.join(slow)}", f"visantctl logs {' '.join(slow)}")
    elif value["state"] == "updating":
        yield warn(
            "release", f"an update to {value['pending']['candidate']} is going on", "look again in a few minutes"
        )
    else:
        remedy = "sudo systemctl restart visant-device-v2; visantctl logs"
        yield fail("release", "; ".join(value["faults"]) or str(value["state"]), remedy, *_START)
    restarted = {name: one["restarts"] for name, one in value["services"].items() if one["restarts"]}
    if restarted:
        text = ", ".join(f"{name} {count} times" for name, count in sorted(restarted.items()))
        yield warn("release", f"restarted since its start: {text}", f"visantctl logs {' '.join(sorted(restarted))}")
    if value["quarantined"]:
        yield warn("release", f"in quarantine: {', '.join(sorted(value['quarantined']))}", "visantctl history says why")


def _when_started(device: Device) -> dict[str, Any]:
    """The status, once every service has said its first word: a device that just starts has nothing to be mended."""
    deadline = time.monotonic() + _PATIENCE
    while (value := status(device))["state"] == "starting" and time.monotonic() < deadline:
        time.sleep(1.0)
    return value


def units() -> Iterator[Finding]:
    """What systemd starts at boot and at night."""
    for name, what in (
        ("visant-device-v2.service", "the device"),
        ("visant-update.timer", "the update timer"),
        ("visant-clock.timer", "the clock's fallback"),
    ):
        enabled, active = ask("systemctl", "is-enabled", name), ask("systemctl", "is-active", name)
        if enabled is None and active is None:
            yield warn("units", "systemd does not answer", "boot the device normally")
            return
        if enabled != "enabled" or active not in ("active", "activating", "reloading"):
            yield fail(
                "units",
                f"{name} is {enabled or 'missing'} and {active}: {what} does not come back by itself",
                f"sudo systemctl enable --now {name}",
                "systemctl",
                "enable",
                "--now",
                name,
            )
        else:
            yield good("units", f"{name} is enabled and {active}")


def running(device: Device, service: str) -> str | None:
    """Id of the service's container; None where it does not run."""
    found = [one for one in containers(device.engine, device.settings.project) if one.service == service]
    return found[0].id if len(found) == 1 and found[0].status == "running" else None


def heartbeat(device: Device, service: str) -> dict[str, Any] | None:
    """What the service's process says of itself (`facts`, `degraded`); None where it does not run."""
    try:
        container = running(device, service)
        if container is None:
            return None
        value = json.loads(device.engine.run("exec", container, "cat", f"/run/visant/{service}.heartbeat", timeout=15))
    except (Problem, ValueError):
        return None
    return value if isinstance(value, dict) else None
