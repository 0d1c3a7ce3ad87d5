"""From the good release to the candidate: the part that runs change, each step durable before the next."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict

from visantctl.errors import EngineAway, EngineFailed, Problem
from visantctl.host import durable, units
from visantctl.host.kill_point import kill_point
from visantctl.releases import images
from visantctl.releases.stack import containers
from visantctl.updates.leftovers import remove_leftovers
from visantctl.updates.pending import Pending
from visantctl.updates.rollback import roll_back
from visantctl.updates.soak import Baseline, Unfit, watch
from visantctl.wiring import Device


def switch(device: Device, candidate: str, kind: str = "update") -> None:
    """Run `candidate`, watch it, keep it or go back. Problem when it went back; EngineAway leaves it to the boot."""
    good = device.ledger.good
    baseline = Baseline.of(device.look()) if good else Baseline()
    pending = Pending.begin(
        device.place.state,
        candidate=candidate,
        good=good,
        older=device.place.linked_version(device.place.previous),
        baseline=asdict(baseline),
        kind=kind,
    )
    kill_point("switch-written")
    device.log.info(f"switching from {good or 'nothing'} to {candidate}")
    if good:
        durable.point(device.place.previous, f"releases/{good}")
    kill_point("previous-linked")
    durable.point(device.place.current, f"releases/{candidate}")
    kill_point("current-linked")
    try:
        prove(device, lambda: _run_and_watch(device, pending))
        kill_point("soaked")
        commit(device, pending)
    except (Unfit, OSError) as why:
        if device.ledger.good == candidate:  # only bookkeeping is left; the next visantctl finishes it
            raise
        roll_back(device, pending, str(why))
        raise Problem(f"{candidate} was taken back: {why}") from None


def prove(device: Device, work: Callable[[], None]) -> None:
    """Do `work`, once more when the Engine went away meanwhile. What happens twice with a living Engine is Unfit."""
    try:
        device.with_engine(work)
    except EngineAway as away:
        if not device.engine.answers():
            raise
        raise Unfit(str(away)) from None


def _run_and_watch(device: Device, pending: Pending) -> None:
    before = time.monotonic()
    try:
        device.stack(pending.candidate).up(device.settings.start_timeout, lambda: _no_crash_loop(device))
    except EngineFailed as error:
        raise Unfit(str(error)) from None
    device.log.info(f"{pending.candidate} started in {time.monotonic() - before:.1f} s, watching it")
    kill_point("started")
    pending.advance(device.place.state, "soaking")
    kill_point("soak-written")
    watch_release(device, pending)


def _no_crash_loop(device: Device) -> None:
    """Unfit as soon as a service keeps ending: its healthcheck would take a minute to say so, without pictures."""
    for one in containers(device.engine, device.settings.project):
        if one.restarts >= 2:
            raise Unfit(f"{one.service} was restarted {one.restarts} times before it was healthy")


def watch_release(device: Device, pending: Pending) -> None:
    """Unfit unless the candidate is healthy for the soak."""
    settings = device.settings
    try:
        services = expected_images(device, pending.candidate)
        watch(device.look, services, Baseline.read(pending.baseline), settings.soak, settings.settle)
    except EngineFailed as error:
        raise Unfit(str(error)) from None


def expected_images(device: Device, version: str) -> dict[str, str]:
    """Each service of the release's Compose file to the image id it must run; empty where the release names none."""
    known = images.recorded(device.place.release(version))
    return {service: known.get(service, "") for service in device.stack(version).check()}


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
