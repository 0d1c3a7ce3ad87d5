"""From the good release to the candidate: the part that runs change, each step durable before the next."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import NoReturn

from visantctl.errors import EngineFailed, Problem, Unreachable
from visantctl.host import durable
from visantctl.host.kill_point import kill_point
from visantctl.releases import images
from visantctl.updates.commit import commit
from visantctl.updates.pending import Blame, Pending
from visantctl.updates.proof import no_crash_loop, prove, watch_release, why_not
from visantctl.updates.reconcile import reconcile
from visantctl.updates.soak import Baseline, Unfit
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
    if good and good != candidate:
        durable.point(device.place.previous, f"releases/{good}")
    kill_point("previous-linked")
    durable.point(device.place.current, f"releases/{candidate}")
    kill_point("current-linked")
    try:
        prove(device, lambda: _run_and_watch(device, pending))
        kill_point("soaked")
        commit(device, pending)
    except (Unfit, OSError) as why:
        if device.ledger.good == candidate != good:  # only bookkeeping is left; the next visantctl finishes it
            raise
        _take_back(device, pending, str(why))


def _take_back(device: Device, pending: Pending, reason: str) -> NoReturn:
    candidate, good = pending.candidate, pending.good
    blame: Blame = "if_better"
    if pending.kind == "rollback":
        blame = "no"  # it was good here once, and an operator wanted it
    elif images.missing(device.engine, device.image_tags(candidate), device.place.release(candidate)):
        reason, blame = f"its images were deleted while it was switched to ({reason})", "no"
    reconcile(device, judged=replace(pending, phase="rolling_back", reason=reason, blame=blame), start=False)
    if Pending.read(device.place.state) is not None:
        raise Unreachable(f"{candidate} must go ({reason}) and is kept until {good} can be had")
    if candidate == good:
        raise Problem(f"{candidate} is here again, and not well: {reason}")
    raise Problem(f"{candidate} was taken back: {reason}")


def _run_and_watch(device: Device, pending: Pending) -> None:
    before = time.monotonic()
    try:
        device.stack(pending.candidate).up(device.settings.start_timeout, lambda: no_crash_loop(device))
    except EngineFailed as error:
        raise Unfit(why_not(device, str(error))) from None
    device.log.info(f"{pending.candidate} started in {time.monotonic() - before:.1f} s, watching it")
    kill_point("started")
    pending.advance(device.place.state, "soaking")
    kill_point("soak-written")
    watch_release(device, pending)
