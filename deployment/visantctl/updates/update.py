"""One look for a release, and all that follows from it."""

from __future__ import annotations

from visantctl.errors import EngineAway, EngineFailed, Problem, Refused, Unreachable
from visantctl.host import durable
from visantctl.host.kill_point import kill_point
from visantctl.host.lock import update_lock
from visantctl.releases.manifest import Release
from visantctl.releases.source import Source, trusted_release
from visantctl.updates.decide import reason_to_wait
from visantctl.updates.obtain import bring_back_images
from visantctl.updates.pending import Pending
from visantctl.updates.prepare import prepare
from visantctl.updates.probe import wait_until_idle
from visantctl.updates.proof import all_run
from visantctl.updates.reconcile import reconcile
from visantctl.updates.switch import switch
from visantctl.wiring import Device

_BEHIND_A_START = 600.0
"""Seconds that a person's command waits for a start that is at work, which may be fetching images."""


def update(device: Device, source: Source, *, now: bool = False, force: bool = False, fetch_only: bool = False) -> str:
    """Take the source's release if this device should; returns what was done in one line.

    `fetch_only` ends when all of it is on this host and nothing that runs has changed; `now` does not wait for a
    capture in flight; `force` see `decide`. Problem: nothing changed, or it was taken back; the history says which.
    """
    device.place.prepare()
    with update_lock(device.place.state, "update", _BEHIND_A_START, behind="start", tell=device.log.info) as lock:
        device = device.holding(lock)
        kill_point("locked")
        lacking = _settle(device)
        try:
            release, signature, signer = trusted_release(source, device.place.allowed_signers)
            kill_point("manifest-verified")
            good = good_release(device)
            wait = reason_to_wait(
                release,
                device.settings,
                # Where the good release cannot run, an older one is better than none.
                None if lacking and good and good.version != release.version else good,
                device.ledger.quarantine,
                force=force,
                by_hand=not source.has_registry,
            )
            if wait is None:
                device.log.info(f"release {release.version}, signed by {signer}")
                prepare(device, source, release, signature)
        except Problem as problem:
            _note(device, "not_taken", str(problem))
            raise
        if wait is not None:
            return _without_a_switch(device, (source, release), wait, lacking, fetch_only=fetch_only)
        if fetch_only:
            durable.write_json(device.place.state / "fetched.json", {"version": release.version})
            return f"{release.version} is here, and nothing else was changed"
        if not now and not lacking and not _idle(device):
            device.log.warning(
                f"a capture is in flight after {device.settings.idle_wait:g} s: going on, it is not lost"
            )
        kill_point("idle")
        switch(device, release.version)
        return f"{release.version} runs and is kept"


def take(device: Device, source: Source) -> str:
    """The source's release where nothing else can run, whatever its order; returns its version. The lock is held."""
    release, signature, _ = trusted_release(source, device.place.allowed_signers)
    wait = reason_to_wait(release, device.settings, None, device.ledger.quarantine, force=False, by_hand=False)
    if wait is not None:
        raise Refused(wait)
    prepare(device, source, release, signature)
    switch(device, release.version)
    return release.version


def back(device: Device) -> str:
    """`visantctl rollback`: to the previous release, by an operator's word. Unreachable: it cannot be had."""
    device.place.prepare()
    with update_lock(device.place.state, "rollback", _BEHIND_A_START, behind="start", tell=device.log.info) as lock:
        device = device.holding(lock)
        reconcile(device, start=False)
        previous = device.place.linked_version(device.place.previous)
        if previous is None or previous == device.ledger.good:
            raise Problem("there is no previous release on this device to go back to")
        try:
            bring_back_images(device, previous)
        except Problem as problem:
            raise type(problem)(f"{problem}: nothing was changed; visantctl update --from FILE brings them") from None
        switch(device, previous, kind="rollback")
        return f"{previous} runs and is kept"


def _settle(device: Device) -> Problem | None:
    """Bring an open update to its end; why that is not possible, where the offered release may be what helps."""
    try:
        reconcile(device, start=False)
    except EngineAway:
        raise
    except Problem as problem:
        device.log.error(str(problem))
        return problem
    pending = Pending.read(device.place.state)
    return Unreachable(f"{pending.good} cannot be had, {pending.candidate} is kept until then") if pending else None


def _without_a_switch(
    device: Device, offered: tuple[Source, Release], wait: str, lacking: Problem | None, *, fetch_only: bool
) -> str:
    """The offered release is not for now, or it is the good one: then it may bring back what is gone of it."""
    _, release = offered
    if release.version == device.ledger.good:
        runs_well = lacking is None and all_run(device, release.version)
        if runs_well or fetch_only:
            bring_back_images(device, release.version, offered)  # for the next start
            _note(device, "checked", wait)
            return wait
        runs = reconcile(device, offered)
        _note(device, "checked", f"{runs} was started again")
        return f"{runs} runs again"
    if lacking is not None:
        raise lacking
    _note(device, "checked", wait)
    return wait


def good_release(device: Device) -> Release | None:
    """The manifest of the good release; None where there is none, or it is damaged."""
    version = device.ledger.good
    if version is None:
        return None
    if damage := device.damage(version):
        device.log.error(damage)
        return None
    return device.release(version)


def _note(device: Device, result: str, reason: str) -> None:
    try:
        device.ledger.note(result, reason)
    except OSError as error:  # the disk is full, which may well be the reason
        device.log.error(f"the result could not be stored: {error.strerror}")


def _idle(device: Device) -> bool:
    try:
        return wait_until_idle(device.engine, device.settings.project, device.settings.idle_wait)
    except EngineFailed as error:
        device.log.warning(f"cannot tell whether a capture is in flight: {error}")
        return True
