"""Whether this device may take a release at all: pin, channel, quarantine, rollout. Pure: every rule is one test."""

from __future__ import annotations

from collections.abc import Collection

from visantctl.errors import Refused
from visantctl.host.settings import Settings
from visantctl.releases.manifest import Release
from visantctl.updates.rollout import takes_part
from visantctl.version import order

_PIN = {False: "UPDATE_PIN", True: "the cloud's pin"}


def reason_to_wait(
    release: Release,
    settings: Settings,
    good: Release | None,
    quarantined: Collection[str],
    *,
    force: bool,
    by_hand: bool,
) -> str | None:
    """None: take it. Text: not now, all is well. Refused: it must not be taken.

    `force` overrides order, quarantine and rollout, never a signature; `by_hand` (an archive given on the command
    line) overrides the rollout percentage and the pin.
    """
    pinned = settings.pin == release.version
    if settings.pin and not pinned and not by_hand:
        raise Refused(f"{_PIN[settings.pinned_by_cloud]}={settings.pin} but the source offered {release.version}")
    if good is not None and release.version == good.version:
        if release.identity != good.identity:
            raise Refused(f"{release.version} is not the {release.version} that runs here: a version is never reused")
        return f"{release.version} is up to date"
    if force:
        return None
    if settings.held and good is not None and not by_hand:
        return f"{release.version} waits: the cloud holds updates; --force takes it all the same"
    back = pinned and not settings.pinned_by_cloud
    if good is not None and not back and order(release.version) < order(good.version):
        raise Refused(f"{release.version} is older than {good.version}, which runs here: --force goes back on purpose")
    if release.version in quarantined:
        return f"{release.version} is in quarantine here: it failed before; --force tries it again"
    if not (pinned or by_hand) and not takes_part(settings.device_id, release.version, release.rollout_percent):
        return f"{release.version} goes to {release.rollout_percent} % of the fleet, this device is not among them"
    return None
