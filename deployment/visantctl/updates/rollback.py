"""Back from a release that did not prove itself."""

from __future__ import annotations

import contextlib
import shutil
import time

from visantctl.errors import EngineFailed, Problem
from visantctl.host import durable
from visantctl.host.kill_point import kill_point
from visantctl.releases import images
from visantctl.updates.pending import Blame, Pending
from visantctl.updates.soak import Baseline, fault, unsettled
from visantctl.wiring import Device

_FAILURES_KEPT = 5


def roll_back(device: Device, pending: Pending, reason: str, *, blame: Blame = "if_better") -> None:
    """Run the good release again. Idempotent: a boot calls it again when it was cut short.

    With `if_better` the candidate is quarantined only where the good release does better afterwards: a cloud or a
    camera that went away during the update is nobody's fault. Its second failure counts in any case.
    """
    began = time.monotonic()
    device.log.error(f"{pending.candidate} is taken back: {reason}")
    with contextlib.suppress(OSError):  # on a full disk the earlier phase leads a boot here as well
        pending = pending.advance(device.place.state, "rolling_back", reason, blame)
    kill_point("rollback-written")
    _keep_last_words(device, pending.candidate)
    if pending.good is None:
        device.stack(pending.candidate).down()
        durable.point(device.place.current, None)
        kill_point("rollback-linked")
        _close(device, pending, quarantine=False, seconds=time.monotonic() - began)
        return
    good = pending.good
    durable.point(device.place.current, f"releases/{good}")
    durable.point(device.place.previous, f"releases/{pending.older}" if pending.older else None)
    kill_point("rollback-linked")
    device.with_engine(lambda: _start_good(device, good))
    seconds = time.monotonic() - began
    device.log.info(f"{good} runs again, {seconds:.1f} s after the verdict")
    kill_point("rollback-started")
    guilty = blame == "yes"
    if blame == "if_better":
        guilty = _does_better(device, pending) or device.ledger.count_interruption(pending.candidate) >= 2
        if not guilty:
            device.log.warning(f"{good} does no better than {pending.candidate} did: no quarantine, a later try")
    kill_point("rollback-judged")
    _close(device, pending, quarantine=guilty, seconds=seconds)


def _start_good(device: Device, good: str) -> None:
    stack = device.stack(good)
    if release := device.whole_release(good):
        images.missing(device.engine, release, device.place.release(good))  # sets moved tags back
    try:
        stack.up(device.settings.start_timeout)
    except EngineFailed as error:
        device.log.error(f"{good} did not become healthy at once, starting it again: {error}")
        try:
            stack.up(device.settings.start_timeout)
        except EngineFailed as still:
            # Pending stays open: `visantctl run` and every boot try again.
            raise Problem(f"{good} does not start either: {still}; visantctl doctor, visantctl logs") from None


def _does_better(device: Device, pending: Pending) -> bool:
    services = dict.fromkeys(device.stack(pending.good or "").check(), "")
    baseline = Baseline.read(pending.baseline)
    deadline = time.monotonic() + device.settings.settle
    while True:
        with contextlib.suppress(EngineFailed):
            seen = device.look()
            if fault(services, seen, seen) is None and unsettled(baseline, seen) is None:
                return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(1)


def _keep_last_words(device: Device, version: str) -> None:
    folder = device.place.state / "failed"
    with contextlib.suppress(OSError, Problem):
        words = device.stack(version).last_words()
        folder.mkdir(exist_ok=True)
        (folder / f"{version}.log").write_text(words, encoding="utf-8")
        for old in sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime)[:-_FAILURES_KEPT]:
            old.unlink()
        device.log.info(f"the last log lines of {version} are in {folder / f'{version}.log'}")


def _close(device: Device, pending: Pending, *, quarantine: bool, seconds: float) -> None:
    place, ledger, version = device.place, device.ledger, pending.candidate
    try:
        if quarantine:
            ledger.put_in_quarantine(version, pending.reason)
        ledger.write_once(
            "taken_back", id=pending.started_at, **{"from": version, "to": pending.good},
            reason=pending.reason, quarantined=quarantine, seconds=round(seconds, 1),
        )  # fmt: skip
    except OSError as error:
        device.log.error(f"the result could not be stored: {error.strerror}")
    if quarantine:
        ledger.forget_interruptions()
        _remove(device, version)
    Pending.close(place.state)
    kill_point("rollback-closed")


def _remove(device: Device, version: str) -> None:
    place = device.place
    if version in (place.linked_version(place.current), place.linked_version(place.previous)):
        return
    with contextlib.suppress(Problem, OSError):
        kept = [device.release(one) for link in (place.current, place.previous) if (one := place.linked_version(link))]
        images.remove(device.engine, device.release(version), kept)
    shutil.rmtree(place.release(version), ignore_errors=True)
