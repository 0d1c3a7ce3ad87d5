"""Whether a release that was just started stays: watched on this device, with why not in words."""

from __future__ import annotations

import time
from collections.abc import Callable

from visantctl.errors import EngineAway, EngineFailed, Problem
from visantctl.releases import images, why
from visantctl.releases.stack import containers
from visantctl.updates.pending import Pending
from visantctl.updates.soak import Baseline, Unfit, watch
from visantctl.wiring import Device


def prove(device: Device, work: Callable[[], None]) -> None:
    """Do `work`, once more when the Engine went away meanwhile. What happens twice with a living Engine is Unfit."""
    try:
        device.with_engine(work)
    except EngineAway as away:
        if not device.engine.answers():
            raise
        raise Unfit(str(away)) from None


def all_run(device: Device, version: str) -> bool:
    """True when each service has one running container of this release's own image."""
    try:
        wanted = _expected_images(device, version)
        seen = device.look()
    except EngineFailed:
        return False
    found = {service: seen.service(service) for service in wanted}
    return all(
        one is not None and one.status == "running" and (not wanted[service] or one.image_id == wanted[service])
        for service, one in found.items()
    )


def wait_and_watch(device: Device, pending: Pending) -> None:
    """For a candidate that an interrupted update has started."""
    deadline = time.monotonic() + device.settings.start_timeout
    while any(one.health == "starting" for one in device.look().containers) and time.monotonic() < deadline:
        time.sleep(1)
    watch_release(device, pending)


def watch_release(device: Device, pending: Pending) -> None:
    """Unfit unless the candidate is healthy for the soak."""
    settings = device.settings
    try:
        services = _expected_images(device, pending.candidate)
        watch(device.look, services, Baseline.read(pending.baseline), settings.soak, settings.settle)
    except EngineFailed as error:
        raise Unfit(str(error)) from None
    except Unfit as unfit:
        raise Unfit(why_not(device, str(unfit))) from None


def no_crash_loop(device: Device) -> None:
    """Unfit as soon as a service keeps ending: its healthcheck would take a minute to say so, without pictures."""
    for one in containers(device.engine, device.settings.project):
        if one.restarts >= 2:
            reason = f"{one.service} was restarted {one.restarts} times before it was healthy"
            raise Unfit(why_not(device, reason))


def why_not(device: Device, reason: str) -> str:
    """`reason`, and what each service that is not well says itself: what the reader of the history needs."""
    try:
        said = why.reasons(device)
    except Problem:
        return reason
    return "; ".join((reason, *(f"{service}: {line}" for service, line in said.items() if line not in reason)))


def _expected_images(device: Device, version: str) -> dict[str, str]:
    """Each service of the release's Compose file to the image id it must run; empty where the release names none."""
    known = images.recorded(device.place.release(version))
    return {service: known.get(service, "") for service in device.stack(version).check()}
