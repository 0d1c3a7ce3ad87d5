"""`visantctl doctor`: check everything that a picture needs on its way; exit code 1 where something fails."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from visantctl.doctor.checks.camera import is_missing
from visantctl.doctor.checkup import checkup, repair
from visantctl.doctor.finding import Finding
from visantctl.wiring import Device

Judge = Callable[[Iterable[Finding]], Iterator[Finding]]
_CAMERA_MISSING = 3

HELP = "check everything that a picture needs on its way; exit code 1 where something fails"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--fix", action="store_true", help="repair what can be repaired without risk, then look again")
    parser.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS", help="look again until nothing fails, at most so long"
    )
    parser.add_argument(
        "--no-camera-yet", action="store_true",
        help="a camera that is not plugged in fails nothing; exit code 3 where only it is missing",
    )  # fmt: skip


def main(options: argparse.Namespace) -> int:
    """0 without a FAIL."""
    device = Device.here()
    judged = _without_camera if options.no_camera_yet else _as_found
    found = _look(device, judged, options.wait, aloud=not options.json and not options.fix)
    if options.fix:
        for finding in found:
            if finding.fix:
                done = repair(finding)
                if not options.json:
                    print(f"fix   {finding.check:<10} {' '.join(finding.fix)}: {done}", flush=True)
        found = list(judged(checkup(device)))
        if not options.json:
            print("\n".join(one.as_text() for one in found))
    failed = sum(one.level == "FAIL" for one in found)
    if options.json:
        print(json.dumps({"ok": not failed, "findings": [one.as_json() for one in found]}, indent=2))
    else:
        warned = sum(one.level == "WARN" for one in found)
        print(f"{len(found) - failed - warned} passed, {warned} warnings, {failed} failed")
    if failed:
        return 1
    return (
        _CAMERA_MISSING
        if options.no_camera_yet and any(one.level == "WARN" and is_missing(one) for one in found)
        else 0
    )


def _as_found(findings: Iterable[Finding]) -> Iterator[Finding]:
    yield from findings


def _without_camera(findings: Iterable[Finding]) -> Iterator[Finding]:
    """A camera that is not there yet is worth a warning."""
    for one in findings:
        yield replace(one, level="WARN") if is_missing(one) else one


def _look(device: Device, judged: Judge, patience: float, *, aloud: bool) -> list[Finding]:
    """Findings; a person sees each as it comes, unless the first looks are only for waiting."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = list(judged(checkup(device)))
        if not any(one.level == "FAIL" for one in found):
            break
        time.sleep(3)
    else:
        found = []
        for one in judged(checkup(device)):
            found.append(one)
            if aloud:
                print(one.as_text(), flush=True)
        return found
    if aloud:
        print("\n".join(one.as_text() for one in found))
    return found
