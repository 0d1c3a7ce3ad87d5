"""The Engine, the release and its containers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from visantctl import address_pools
from visantctl.device import Device
from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.doctor.shell import ask
from visantctl.errors import Problem
from visantctl.stack import containers
from visantctl.status import status

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


def stack(device: Device) -> Iterator[Finding]:
    """The release that should run, and what does."""
    value = status(device)
    if value["state"] == "no_engine":
        return
    if value["state"] == "empty":
        yield fail("release", "no release is installed", "run install_device.sh --from RELEASE.TAR")
        return
    if value["state"] == "ok":
        yield good("release", f"{value['version']}: all {len(value['services'])} services run")
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


def units() -> Iterator[Finding]:
    """What systemd starts at boot and at night."""
    for name, what in (("visant-device-v2.service", "the device"), ("visant-update.timer", "the update timer")):
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


def heartbeat(device: Device, service: str) -> dict[str, Any] | None:
    """What the service's process says of itself (`facts`, `degraded`); None where it does not run."""
    try:
        found = [one for one in containers(device.engine, device.settings.project) if one.service == service]
        if len(found) != 1 or found[0].status != "running":
            return None
        value = json.loads(
            device.engine.run("exec", found[0].id, "cat", f"/run/visant/{service}.heartbeat", timeout=15)
        )
    except (Problem, ValueError):
        return None
    return value if isinstance(value, dict) else None
