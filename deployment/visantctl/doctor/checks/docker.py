"""The Engine, the addresses it uses, and its way out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.network import address_pools, engine_uplink, neighbours
from visantctl.wiring import Device

ORDER = 20


def check(device: Device) -> Iterator[Finding]:
    """Docker itself, and the addresses it uses."""
    if not device.engine.answers():
        yield fail(
            "docker",
            "the Docker Engine does not answer",
            "sudo systemctl restart docker; journalctl -u docker",
            fix="systemctl start docker.service",
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
            fix="systemctl restart visant-device-v2.service",
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
            fix="visantctl address-pools --write",
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
