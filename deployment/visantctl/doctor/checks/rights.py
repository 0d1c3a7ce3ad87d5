"""What the containers may do on this host: no more than the release gives them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from visantctl.doctor.finding import Finding, good, warn
from visantctl.host.env_file import SERVICE_ID, read_env_file
from visantctl.releases.stack import LABEL, containers
from visantctl.wiring import Device

ORDER = 35
_USER = f"{SERVICE_ID}:{SERVICE_ID}"
_VIDEO = "c 81:* rmw"
"""compose.yaml: the camera opens video devices and no others."""
_NAMESPACES = ("NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode")


def check(device: Device) -> Iterator[Finding]:
    """Of what runs: an edited compose.yaml, an override and a `docker run` by hand are seen alike."""
    ids = [one.id for one in containers(device.engine, device.settings.project)]
    if not ids:
        return
    place = device.place
    values = read_env_file(place.env_file)
    folders = [Path(values[key]) for key in ("VISANT_SPOOL", "VISANT_DEBUG_CAPTURES") if values.get(key)]
    found = {}
    for one in json.loads(device.engine.run("inspect", *ids)):
        service = (one["Config"].get("Labels") or {}).get(f"{LABEL}.service", one.get("Name", ""))
        if more := beyond(one, place.root, folders):
            found[service] = more
    if not found:
        yield good("rights", "no service may do more than the release gives it")
        return
    text = "; ".join(f"{service} has {', '.join(more)}" for service, more in sorted(found.items()))
    if place.compose_override.is_file():
        yield warn(
            "rights", f"more than the release gives: {text}", f"is it meant? Then it is in {place.compose_override}"
        )
    else:
        yield warn(
            "rights",
            f"more than the release gives: {text}",
            "sudo visantctl restore, then sudo systemctl restart visant-device-v2",
            fix="systemctl restart visant-device-v2.service",
        )


def beyond(container: Mapping[str, Any], root: Path, folders: list[Path]) -> list[str]:
    """What it may do beyond compose.yaml, from `docker inspect`. `folders`: of this site's settings."""
    host, config = container["HostConfig"], container["Config"]
    options = [str(one).replace("=", ":") for one in host.get("SecurityOpt") or ()]
    found = ["privileged"] if host.get("Privileged") else []
    found += [f"capability {one}" for one in host.get("CapAdd") or ()]
    if "ALL" not in (host.get("CapDrop") or ()):
        found.append("the Engine's default capabilities")
    found += [f"device {one.get('PathOnHost')}" for one in host.get("Devices") or ()]
    found += [f"devices {one}" for one in host.get("DeviceCgroupRules") or () if one != _VIDEO]
    for key in _NAMESPACES:
        value = str(host.get(key) or "")
        if value == "host" or value.startswith("container:"):
            found.append(f"{key} {value}")
    if (user := config.get("User")) != _USER:
        found.append(f"user {user or 'root'}")
    if not any(one in ("no-new-privileges", "no-new-privileges:true") for one in options):
        found.append("new privileges")
    found += [one for one in options if one.endswith(("unconfined", ":disable"))]
    if not host.get("ReadonlyRootfs"):
        found.append("a writable root file system")
    for one in container.get("Mounts") or ():
        if one.get("Type") == "bind" and not _expected(Path(one["Source"]), bool(one.get("RW")), root, folders):
            found.append(f"{one['Source']}{'' if one.get('RW') else ' (read-only)'}")
    for bound in (host.get("PortBindings") or {}).values():
        found += [
            f"port {one['HostPort']} for all" for one in bound or () if one.get("HostIp") not in ("127.0.0.1", "::1")
        ]
    return found


def _expected(source: Path, writes: bool, root: Path, folders: list[Path]) -> bool:
    if source in folders:
        return True
    return not writes and source in (Path("/dev"), root / "secrets", root / "shared", Path("/run/visant-host"))
