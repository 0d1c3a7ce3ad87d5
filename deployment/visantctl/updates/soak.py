"""Whether a new release stays: watched for a while after the switch, compared with what worked before it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from visantctl.errors import EngineAway
from visantctl.updates.probe import Observation


class Unfit(Exception):
    """Judged: this release must not stay; the text says why."""


@dataclass(frozen=True)
class Baseline:
    """What worked before the switch: only that can be asked of a new release."""

    camera: bool = False
    stream: bool = False

    @classmethod
    def of(cls, seen: Observation) -> Baseline:
        """From a look at the release that is about to be replaced."""
        return cls(camera=seen.camera == "serving", stream=seen.stream)

    @classmethod
    def read(cls, value: Any) -> Baseline:
        """From the JSON of a pending update."""
        given = value if isinstance(value, Mapping) else {}
        return cls(camera=given.get("camera") is True, stream=given.get("stream") is True)


def fault(services: Mapping[str, str], first: Observation, seen: Observation) -> str | None:
    """What no healthy release shows at any moment; `services` maps each to the image id it must run."""
    for service, image in services.items():
        then, now = first.service(service), seen.service(service)
        if now is None:
            return f"{service} has no container, or several"
        if image and now.image_id != image:
            return f"{service} runs another image than this release's"
        if now.status != "running":
            return f"{service} is {now.status}"
        if now.health == "unhealthy":
            return f"{service} is unhealthy"
        if then is not None and (now.id, now.restarts, now.started_at) != (then.id, then.restarts, then.started_at):
            return f"{service} was restarted while it was watched"
    return None


def all_disturbed(services: Mapping[str, str], first: Observation, seen: Observation) -> bool:
    """True when every service went down or was started anew: that was the Engine or the host, not a release."""

    def changed(service: str) -> bool:
        then, now = first.service(service), seen.service(service)
        return now is None or now.status != "running" or then is None or now.started_at != then.started_at

    return len(services) > 1 and all(changed(service) for service in services)


def unsettled(baseline: Baseline, seen: Observation) -> str | None:
    """What may take a moment after a start, but must be there at the end."""
    for one in seen.containers:
        if one.health == "starting":
            return f"{one.service} is still starting"
    if seen.unwell:
        return f"{seen.unwell[0]} is unhealthy"
    if not seen.redis:
        return "Redis does not answer"
    if seen.camera.startswith("silent"):
        return f"the camera service does not answer: {seen.camera.removeprefix('silent: ')}"
    if baseline.camera and seen.camera != "serving":
        return f"the camera worked before and not now: {seen.camera.removeprefix('degraded: ')}"
    if baseline.stream and not seen.stream:
        return "the connector had its stream before and has none now"
    return None


def watch(
    look: Callable[[], Observation], services: Mapping[str, str], baseline: Baseline, seconds: float, settle: float
) -> None:
    """Return when the release was healthy for `seconds` and has settled, which may take `settle`; Unfit otherwise.

    EngineAway when the Engine was restarted meanwhile: then nothing was proved.
    """
    first = look()
    start = time.monotonic()
    pause = min(5.0, seconds / 5)
    while True:
        seen = look()
        if reason := fault(services, first, seen):
            if all_disturbed(services, first, seen):
                raise EngineAway("all services went down at once: the Docker Engine was restarted")
            raise Unfit(reason)
        waiting = unsettled(baseline, seen)
        watched = time.monotonic() - start
        if waiting is None and watched >= seconds:
            return
        if waiting is not None and watched >= max(seconds, settle):
            raise Unfit(waiting)
        time.sleep(pause)
