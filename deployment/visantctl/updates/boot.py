"""After a power cut, or whenever a start is asked for: make one whole release run."""

from __future__ import annotations

import time

from visantctl.errors import EngineFailed, Problem, Refused, Unreachable
from visantctl.host import durable
from visantctl.host.lock import update_lock
from visantctl.releases import images
from visantctl.releases.source import Channel
from visantctl.updates.pending import Pending
from visantctl.updates.prepare import obtain_images
from visantctl.updates.rollback import roll_back
from visantctl.updates.soak import Unfit
from visantctl.updates.switch import commit, expected_images, prove, watch_release
from visantctl.wiring import Device


def boot(device: Device, *, patience: float = 0.0) -> str:
    """Repair an interrupted update, then start the good release; returns its version. Waits for the lock, seconds."""
    device.place.prepare()
    with update_lock(device.place.state, patience) as lock:
        device = device.holding(lock)
        device.engine.wait(device.settings.engine_patience)
        repair(device)
        return start(device)


def repair(device: Device) -> None:
    """Bring an update that was cut short to an end; afterwards nothing is pending.

    The Engine restarts containers by itself, before anything of ours runs: this repairs, it cannot prevent.
    """
    pending = Pending.read(device.place.state)
    if pending is None:
        _repair_links(device)
        return
    version = pending.candidate
    if damaged := _damaged(device, version):
        device.log.error(f"the update to {version} was cut short and cannot be finished: {damaged}")
        if device.ledger.good == version:
            Pending.close(device.place.state)  # a start falls back to the previous release
        else:
            roll_back(device, pending, damaged, blame="no")
        return
    if pending.phase == "committing" or device.ledger.good == version:
        device.log.info(f"the update to {version} was cut short after its verdict: finishing it")
        commit(device, pending)
        return
    if pending.phase == "rolling_back":
        device.log.warning(f"going back from {version} was cut short: finishing it")
        roll_back(device, pending, pending.reason, blame=pending.blame)
        return
    count = device.ledger.count_interruption(version)
    device.log.warning(f"the update to {version} was cut short while {pending.phase} (time {count})")
    if _all_of_candidate(device, pending):
        try:
            prove(device, lambda: _wait_and_watch(device, pending))
        except Unfit as unfit:
            roll_back(device, pending, str(unfit))
        else:
            commit(device, pending)
        return
    if count >= 2:
        roll_back(device, pending, "interrupted twice", blame="yes")
    else:
        roll_back(device, pending, "interrupted", blame="no")


def start(device: Device) -> str:
    """Start the good release, from local images; Problem when there is none."""
    version = device.ledger.good
    if version is None:
        raise Problem("no release is installed here: visantctl update, or visantctl update --from FILE")
    try:
        _complete(device, version)
    except (Refused, Unreachable) as unusable:
        version = _instead(device, unusable)
    device.log.info(f"starting {version}")
    device.with_engine(lambda: device.stack(version).start())
    return version


def _complete(device: Device, version: str) -> None:
    """Images that somebody deleted are fetched again; the only case in which a start needs the network."""
    release = device.release(version)
    absent = images.missing(device.engine, release, device.place.release(version))
    if not absent:
        return
    device.log.error(f"images of {version} are gone from this host ({', '.join(absent)}), getting them again")
    try:
        obtain_images(device, Channel(device.settings), release)
    except Problem as error:
        raise Unreachable(f"{version} cannot start, its images are gone and cannot be had: {error}") from None


def _instead(device: Device, unusable: Problem) -> str:
    """The previous release, when the good one is damaged on this medium and cannot be completed."""
    previous = device.place.linked_version(device.place.previous)
    if previous is None or previous == device.ledger.good:
        raise unusable
    device.log.error(f"{unusable}; falling back to {previous}")
    _complete(device, previous)
    durable.point(device.place.current, f"releases/{previous}")
    device.ledger.good = previous
    return previous


def _damaged(device: Device, version: str) -> str | None:
    try:
        device.release(version)
    except Refused as damaged:
        return str(damaged)
    return None


def _repair_links(device: Device) -> None:
    good = device.ledger.good
    if good and device.place.linked_version(device.place.current) != good and device.place.release(good).is_dir():
        device.log.warning(f"current did not point to {good}: set right")
        durable.point(device.place.current, f"releases/{good}")


def _all_of_candidate(device: Device, pending: Pending) -> bool:
    """True when each service has one running container of the candidate's own image."""
    if device.place.linked_version(device.place.current) != pending.candidate:
        return False
    try:
        wanted = expected_images(device, pending.candidate)
        seen = device.look()
    except EngineFailed:
        return False
    found = {service: seen.service(service) for service in wanted}
    return all(
        one is not None and one.status == "running" and (not wanted[service] or one.image_id == wanted[service])
        for service, one in found.items()
    )


def _wait_and_watch(device: Device, pending: Pending) -> None:
    deadline = time.monotonic() + device.settings.start_timeout
    while any(one.health == "starting" for one in device.look().containers) and time.monotonic() < deadline:
        time.sleep(1)
    watch_release(device, pending)
