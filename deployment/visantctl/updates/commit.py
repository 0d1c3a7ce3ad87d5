"""A release that proved itself is kept."""

from __future__ import annotations

from visantctl.host import durable, units
from visantctl.host.kill_point import kill_point
from visantctl.updates.leftovers import remove_leftovers
from visantctl.updates.pending import Pending
from visantctl.wiring import Device


def commit(device: Device, pending: Pending) -> None:
    """Keep the candidate. Everything here may be done twice: an interrupted commit is simply finished."""
    place, ledger, version = device.place, device.ledger, pending.candidate
    pending.advance(place.state, "committing")
    kill_point("commit-written")
    ledger.good = version
    kill_point("good-written")
    release = device.release(version)
    if release.allowed_signers and pending.kind == "update":
        durable.write_file(place.allowed_signers, release.allowed_signers.encode(errors="replace"))
    kill_point("signers-written")
    units.refresh(place, version, device.log)
    if pending.kind == "rollback" and pending.good:
        ledger.put_in_quarantine(pending.good, "an operator went back from it")
    ledger.release_from_quarantine(version)
    ledger.forget_interruptions()
    result = "rolled_back_by_operator" if pending.kind == "rollback" else "updated" if pending.good else "installed"
    ledger.write_once(result, id=pending.started_at, to=version, **({"from": pending.good} if pending.good else {}))
    remove_leftovers(device, version)
    kill_point("cleaned")
    Pending.close(place.state)
    kill_point("closed")
    device.log.info(f"{version} is the good release now")
