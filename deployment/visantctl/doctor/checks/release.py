"""The release that should run, and what does."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.releases.why import reasons
from visantctl.service.status import status
from visantctl.wiring import Device

ORDER = 30
_PATIENCE = 60.0
"""Seconds that services may take to start: Compose's start_period and some."""
_START = "systemctl restart visant-device-v2.service"


def check(device: Device) -> Iterator[Finding]:
    """What `visantctl status` says, judged."""
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
    elif value["state"] == "unrepaired":
        pending = value["pending"]
        why = f": {pending['reason']}" if pending["reason"] else ""
        yield fail(
            "release",
            f"the update to {pending['candidate']} has not come to its end ({pending['phase']}{why})",
            "sudo systemctl restart visant-device-v2 tries again; where images cannot be had: sudo visantctl update "
            "--from FILE",
            fix=_START,
        )
    else:
        remedy = "sudo systemctl restart visant-device-v2; visantctl logs"
        said = reasons(device)
        faults = [f"{one}{_because(one.partition(' ')[0], said)}" for one in value["faults"]]
        yield fail("release", "; ".join(faults) or str(value["state"]), remedy, fix=_START)
    restarted = {name: one["restarts"] for name, one in value["services"].items() if one["restarts"]}
    if restarted:
        said = reasons(device)
        text = ", ".join(f"{name} {count} times{_because(name, said)}" for name, count in sorted(restarted.items()))
        yield warn("release", f"restarted since its start: {text}", f"visantctl logs {' '.join(sorted(restarted))}")
    if value["quarantined"]:
        yield warn("release", f"in quarantine: {', '.join(sorted(value['quarantined']))}", "visantctl history says why")


def _because(service: str, said: Mapping[str, str]) -> str:
    return f": {said[service]}" if service in said else ""


def _when_started(device: Device) -> dict[str, Any]:
    """The status, once every service has said its first word: a device that just starts has nothing to be mended."""
    deadline = time.monotonic() + _PATIENCE
    while (value := status(device))["state"] == "starting" and time.monotonic() < deadline:
        time.sleep(1.0)
    return value
