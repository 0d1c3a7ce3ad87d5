"""What root runs here: is it as it was published, and may nobody else change it?"""

from __future__ import annotations

import os
from collections.abc import Iterator

from visantctl.doctor.finding import Finding, good, warn
from visantctl.errors import Problem
from visantctl.host import permissions, units
from visantctl.releases import published
from visantctl.wiring import Device

ORDER = 25
_REMEDY = "sudo visantctl restore (--fix does it), then sudo systemctl restart visant-device-v2"
_SHOWN = 3


def check(device: Device) -> Iterator[Finding]:
    """Owners and modes, then content, of the release that runs and of the one to go back to."""
    if os.geteuid() != 0:
        return
    place = device.place
    found = permissions.wrong(place)
    if found:
        first = "; ".join(f"{one.path} ({one.why})" for one in found[:_SHOWN])
        text = f"{len(found)} files and folders have a wrong owner or mode: {first}"
        yield warn("files", text, _REMEDY, fix="visantctl restore")
    versions = dict.fromkeys(place.linked_version(link) for link in (place.current, place.previous))
    wrong = bool(found)
    for version in versions:
        if version is None:
            continue
        try:
            names = published.changed(place, version)
        except Problem as problem:
            wrong = True
            yield warn("files", f"{version} cannot be compared with what was published: {problem}", "visantctl update")
            continue
        if names:
            wrong = True
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            text = f"not as {version} was published: {', '.join(names[:_SHOWN])}{more}"
            yield warn(
                "files",
                text,
                f"what is this site's own belongs into compose.override.yaml; {_REMEDY}",
                fix="visantctl restore",
            )
    current = place.linked_version(place.current)
    if current and (edited := units.differing(place, current)):
        wrong = True
        text = f"not as {current} has them: {', '.join(map(str, edited))}"
        remedy = "sudo visantctl units (--fix does it); a site's own changes belong into sudo systemctl edit UNIT"
        yield warn("files", text, remedy, fix="visantctl units")
    if not wrong and any(versions):
        yield good("files", "as they were published, and nobody but root may change them")
