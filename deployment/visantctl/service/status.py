"""The truth about this device, as one value."""

from __future__ import annotations

from typing import Any

from visantctl.errors import EngineFailed, Problem
from visantctl.host import lock
from visantctl.releases.stack import Container, containers
from visantctl.updates.asked import Wish
from visantctl.updates.pending import Pending
from visantctl.wiring import Device


def status(device: Device) -> dict[str, Any]:
    """JSON-able: what should run, what does, and what the updater knows. `state` is the summary:

    ok         every service of the good release runs and is healthy
    starting   every one runs, and the first word of some is still awaited
    updating   an update is going on
    unrepaired an update was cut short and nothing has repaired it yet
    wrong      a service is missing, unhealthy, or of another release
    stopped    nothing of it runs
    empty      no release is installed
    no_engine  the Docker Engine does not answer
    """
    place, ledger = device.place, device.ledger
    good, pending = ledger.good, Pending.read(place.state)
    value: dict[str, Any] = {
        "version": good,
        "current": place.linked_version(place.current),
        "previous": place.linked_version(place.previous),
        "channel": device.settings.channel,
        "pin": device.settings.pin or None,
        "cloud": Wish.read(place).told or None,
        "update_url": device.settings.update_url or None,
        "quarantined": ledger.quarantine,
        "pending": (
            None
            if pending is None
            else {"candidate": pending.candidate, "phase": pending.phase, "reason": pending.reason}
        ),
        "last": next(reversed(ledger.history()), None),
        "services": {},
    }
    try:
        found = containers(device.engine, device.settings.project)
        expected, unusable = _expected(device, good)
    except Problem as error:
        return {**value, "state": "no_engine", "detail": str(error)}
    value["services"] = {one.service: _service(one) for one in found}
    faults = [unusable] if unusable else _faults(good, expected, found)
    if pending is not None:
        state = "updating" if lock.is_held(place.state) else "unrepaired"
    elif good is None:
        state = "empty"
    elif not any(one.status in ("running", "restarting") for one in found):
        state = "stopped"
    else:
        state = "wrong" if faults else "starting" if any(one.starting for one in found) else "ok"
    return {**value, "state": state, "faults": faults}


def _expected(device: Device, good: str | None) -> tuple[list[str], str | None]:
    """(services of the good release, why its Compose file cannot be used)."""
    if good is None:
        return [], None
    try:
        return device.stack(good).check(), None
    except EngineFailed as error:
        return [], f"the Compose file of {good} does not work here: {error}"


def _service(one: Container) -> dict[str, Any]:
    return {"image": one.image, "status": one.status, "health": one.health, "restarts": one.restarts}


def _faults(good: str | None, expected: list[str], found: list[Container]) -> list[str]:
    faults = [f"{name} has no container" for name in sorted(set(expected) - {one.service for one in found})]
    for one in found:
        if good and one.service not in expected:
            faults.append(f"{one.service} is no service of {good}")
        elif one.image.startswith("visant/") and not one.image.endswith(f":{good}"):
            faults.append(f"{one.service} runs {one.image}, not {good}")
        elif not (one.well or one.starting):
            faults.append(f"{one.service} is {one.status}, {one.health}")
    return faults


def as_text(value: dict[str, Any]) -> str:
    """The same for a person."""
    lines = [
        f"state      {value['state']}" + (f": {value['detail']}" if value.get("detail") else ""),
        f"version    {value['version'] or '-'}   previous {value['previous'] or '-'}",
        f"channel    {value['channel']}" + (f", pinned to {value['pin']}" if value["pin"] else ""),
    ]
    if value["cloud"]:
        lines.append(f"updates    {value['cloud']}, by the cloud")
    if value["pending"]:
        open_update = value["pending"]
        because = f": {open_update['reason']}" if open_update["reason"] else ""
        lines.append(f"pending    {open_update['candidate']}, {open_update['phase']}{because}")
    lines += [f"fault      {fault}" for fault in value.get("faults", ())]
    for name, one in value["services"].items():
        lines.append(f"{name:<10} {one['status']}, {one['health']}, {one['restarts']} restarts, {one['image']}")
    for version, entry in value["quarantined"].items():
        lines.append(f"quarantine {version} since {entry.get('at')}: {entry.get('reason')}")
    if value["last"]:
        last = value["last"]
        what = " ".join(str(last[key]) for key in ("result", "to", "reason") if last.get(key))
        lines.append(f"last       {last.get('at')} {what}")
    return "\n".join(lines)
