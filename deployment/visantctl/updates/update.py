"""One look for a release, and all that follows from it."""

from __future__ import annotations

from visantctl.errors import EngineFailed, Problem, Refused
from visantctl.host import durable
from visantctl.host.kill_point import kill_point
from visantctl.host.lock import update_lock
from visantctl.releases import manifest
from visantctl.releases.manifest import Release
from visantctl.releases.source import Source, trusted_release
from visantctl.updates.boot import repair
from visantctl.updates.decide import reason_to_wait
from visantctl.updates.prepare import prepare
from visantctl.updates.probe import wait_until_idle
from visantctl.updates.switch import switch
from visantctl.wiring import Device


def update(device: Device, source: Source, *, now: bool = False, force: bool = False, fetch_only: bool = False) -> str:
    """Take the source's release if this device should; returns what was done in one line.

    `fetch_only` ends when all of it is on this host and nothing that runs has changed; `now` does not wait for a
    capture in flight; `force` see `decide`. Problem: nothing changed, or it was taken back; the history says which.
    """
    device.place.prepare()
    with update_lock(device.place.state) as lock:
        device = device.holding(lock)
        kill_point("locked")
        repair(device)
        try:
            release, signature, signer = trusted_release(source, device.place.allowed_signers)
            kill_point("manifest-verified")
            wait = reason_to_wait(
                release,
                device.settings,
                good_release(device),
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
            _note(device, "checked", wait)
            return wait
        if fetch_only:
            durable.write_json(device.place.state / "fetched.json", {"version": release.version})
            return f"{release.version} is here, and nothing else was changed"
        if not now and not _idle(device):
            device.log.warning(
                f"a capture is in flight after {device.settings.idle_wait:g} s: going on, it is not lost"
            )
        kill_point("idle")
        switch(device, release.version)
        return f"{release.version} runs and is kept"


def back(device: Device) -> str:
    """`visantctl rollback`: to the previous release, by an operator's word."""
    device.place.prepare()
    with update_lock(device.place.state) as lock:
        device = device.holding(lock)
        repair(device)
        previous = device.place.linked_version(device.place.previous)
        if previous is None or previous == device.ledger.good:
            raise Problem("there is no previous release on this device to go back to")
        switch(device, previous, kind="rollback")
        return f"{previous} runs and is kept"


def good_release(device: Device) -> Release | None:
    """The manifest of the good release; None where there is none, or it is damaged."""
    version = device.ledger.good
    if version is None:
        return None
    try:
        return manifest.read(device.place.release(version) / "release.json")
    except Refused as damaged:
        device.log.error(str(damaged))
        return None


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
