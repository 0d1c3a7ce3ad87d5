"""All checks, one after the other; one that cannot be made says so and the others go on."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import partial

from visantctl.doctor import card, cloud, configuration, host, network, picture, radio, services
from visantctl.doctor.finding import Finding, fail, warn
from visantctl.errors import Problem
from visantctl.host.env_file import read_env_file
from visantctl.releases import fetch
from visantctl.releases.manifest import MAX_BYTES
from visantctl.wiring import Device


def checkup(device: Device) -> Iterator[Finding]:
    """Findings in the order in which a technician would look."""
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("settings", partial(configuration.check, device)),
        ("docker", partial(services.engine, device)),
        ("release", partial(services.stack, device)),
        ("units", services.units),
        ("camera", partial(picture.check, device)),
        ("network", partial(network.check, device)),
        ("stream", partial(cloud.stream, device)),
        ("spool", partial(cloud.spool, device)),
        ("updates", partial(updates, device)),
        ("disk", partial(card.check, device)),
        ("power", host.power),
        ("heat", host.heat),
        ("memory", host.memory),
        ("wifi", radio.wifi),
        ("tailscale", radio.tailscale),
    ]
    for name, check in checks:
        try:
            yield from check()
        except Problem as problem:
            yield fail(name, str(problem), "the checks above say why, or: journalctl -u visant-device-v2")
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:  # another program's odd answer
            yield warn(name, f"could not be checked: {error}", "run it as root (sudo visantctl doctor)")


def updates(device: Device) -> Iterator[Finding]:
    """How the last look for a release went."""
    last = next(reversed(device.ledger.history()), None)
    if not read_env_file(device.place.env_file).get("UPDATE_URL"):
        yield warn(
            "updates",
            "UPDATE_URL is not set: releases come by file only",
            "sudo visantctl configure UPDATE_URL=https://...; or leave it, and use visantctl update --from",
        )
    elif trouble := _source(device):
        yield warn("updates", trouble, "is UPDATE_URL right, and open in the firewall? The device works without it")
    if last and last.get("result") in ("taken_back", "not_taken"):
        yield warn(
            "updates",
            f"the last one, at {last.get('at')}: {last['result']}: {last.get('reason')}",
            "visantctl history; tail /var/log/visant-update.log",
        )


def _source(device: Device) -> str | None:
    """Why no release could be had now; None: one could."""
    url = f"{device.settings.update_url}/{device.settings.channel}/release.json"
    try:
        fetch.small(url, MAX_BYTES, device.settings.proxies)
    except Problem as problem:
        return str(problem)
    return None


def repair(finding: Finding) -> bool:
    """Run the finding's own command; True when it went well."""
    if not finding.fix:
        return False
    try:
        done = subprocess.run(finding.fix, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=300)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
