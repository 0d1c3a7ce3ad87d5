"""All checks, one after the other; one that cannot be made says so and the others go on."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
from collections.abc import Iterator
from typing import Protocol, cast

from visantctl.doctor import checks
from visantctl.doctor.finding import Finding, fail, warn
from visantctl.errors import Problem
from visantctl.host.programs import ask
from visantctl.wiring import Device


class Check(Protocol):
    """What a module of `checks` offers."""

    ORDER: int
    """Lower comes first: what explains a finding is printed before it (network 60, and then the stream 70)."""

    def check(self, device: Device) -> Iterator[Finding]:
        """Look, and say what is there; nothing where this host has no such thing."""


def all_checks() -> list[tuple[str, Check]]:
    """Name and module of each, in the order in which a technician would look."""
    found = [
        (one.name, cast(Check, importlib.import_module(f"{checks.__name__}.{one.name}")))
        for one in pkgutil.iter_modules(checks.__path__)
    ]
    return sorted(found, key=lambda one: (one[1].ORDER, one[0]))


def checkup(device: Device) -> Iterator[Finding]:
    """What all of them find."""
    for name, module in all_checks():
        try:
            yield from module.check(device)
        except Problem as problem:
            yield fail(name, str(problem), "the checks above say why, or: journalctl -u visant-device-v2")
        except Exception as error:  # noqa: BLE001  # another program's odd answer, or a check's own mistake
            said = str(error) or type(error).__name__
            yield warn(name, f"could not be checked: {said}", "run it as root (sudo visantctl doctor)")


def repair(finding: Finding) -> str:
    """Run the finding's own command; how that went. What somebody disabled stays as it is."""
    unit = finding.fix[-1] if finding.fix[:1] == ("systemctl",) else ""
    if unit and (state := ask("systemctl", "is-enabled", unit)) in ("disabled", "masked"):
        return f"left alone, {unit} is {state}"
    try:
        done = subprocess.run(finding.fix, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=300)
    except (OSError, subprocess.SubprocessError):
        return "failed"
    return "failed" if done.returncode else "done"
