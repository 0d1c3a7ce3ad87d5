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


def roll_back(device: Device, pending: Pending, to: str | None, reason: str, *, blame: Blame = "if_better") -> None:
    """Run `to` instead of the candidate; None: nothing, as before a first installation. May be cut short and done
    again. EngineFailed when `to` does not start either: the update stays open.

    With `if_better` the candidate is quarantined only where `to` does better afterwards: a cloud or a camera that went
    away during the update is nobody's fault. Its second failure counts in any case; never what was good here once.
    """
    began = time.monotonic()
    device.log.error(f"{pending.candidate} is taken back: {reason}")
    with contextlib.suppress(OSError):  # on a full disk the earlier phase leads a boot here as well
        pending = pending.advance(device.place.state, "rolling_back", reason, blame)
    kill_point("rollback-written")
    _keep_last_words(device, pending.candidate)
    if to is None:
        device.stack(pending.candidate).down()
        durable.point(device.place.current, None)
        kill_point("rollback-linked")
        _close(device, pending, None, quarantine=False, seconds=time.monotonic() - began)
        return
    durable.point(device.place.current, f"releases/{to}")
    if to == pending.good:
        durable.point(device.place.previous, f"releases/{pending.older}" if pending.older else None)
    elif device.ledger.good != to:
        device.log.error(f"{pending.good} cannot be had now: going back to {to}")
        device.ledger.good = to
    kill_point("rollback-linked")
    device.with_engine(lambda: _start_again(device, to))
    seconds = time.monotonic() - began
    device.log.info(f"{to} runs again, {seconds:.1f} s after the verdict")
    kill_point("rollback-started")
    guilty = blame == "yes" or (blame == "if_better" and _is_guilty(device, pending, to))
    if guilty and device.ledger.was_kept(pending.candidate):
        device.log.warning(f"{pending.candidate} was good here once: no quarantine")
        guilty = False
    kill_point("rollback-judged")
    _close(device, pending, to, quarantine=guilty, seconds=seconds)


def _start_again(device: Device, version: str) -> None:
    stack = device.stack(version)
    try:
        stack.up(device.settings.start_timeout)
    except EngineFailed as error:
        device.log.error(f"{version} did not become healthy at once, starting it again: {error}")
        stack.up(device.settings.start_timeout)


def _is_guilty(device: Device, pending: Pending, now_runs: str) -> bool:
    if _does_better(device, pending, now_runs) or device.ledger.count_interruption(pending.candidate) >= 2:
        return True
    device.log.warning(f"{now_runs} does no better than {pending.candidate} did: no quarantine, a later try")
    return False


def _does_better(device: Device, pending: Pending, now_runs: str) -> bool:
    services = dict.fromkeys(device.stack(now_runs).check(), "")
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


def _close(device: Device, pending: Pending, to: str | None, *, quarantine: bool, seconds: float) -> None:
    place, ledger, version = device.place, device.ledger, pending.candidate
    try:
        if quarantine:
            ledger.put_in_quarantine(version, pending.reason)
        ledger.write_once(
            "taken_back", id=pending.started_at, **{"from": version, "to": to},
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
