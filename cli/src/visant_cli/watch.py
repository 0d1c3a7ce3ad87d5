"""Waiting for what was set off: each step of a trigger as it happens, until all have ended.

The cloud's row of a trigger is asked for, at first twice a second, of each trigger at most every two seconds later on.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from visant_cli import when
from visant_cli.cloud import Cloud, path
from visant_cli.failure import CloudRefused, ExitStatus, Failure

ENDED = ("executed", "failed", "expired")
_FASTEST, _SLOWEST = 0.3, 2.0
_FEW = 20
_EVERYBODY = 0.05
"""Seconds from one question to the next at least, however many are waited for."""


@dataclass
class Watched:
    """One trigger that is waited for."""

    device_id: str
    trigger_id: str
    steps: int = 0
    """How many of its steps were told."""
    row: dict[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.row.get("status") in ENDED


@dataclass(frozen=True)
class Step:
    """What happened to a trigger, and when; `at` as the API says it."""

    word: str
    at: str | None


def steps(row: dict[str, Any]) -> list[Step]:
    """What has happened to a trigger so far, in its order."""
    found = [Step("accepted", row["created_at"])]
    if row["sent_at"]:
        found.append(Step("sent", row["sent_at"]))
    if row["captured_at"]:
        found.append(Step("exposed", row["captured_at"]))
    if row["stored_at"]:
        found.append(Step("stored", row["stored_at"]))
    elif row["status"] in ENDED:
        found.append(Step(row["status"], row["ended_at"]))
    return found


def line_of(step: Step, row: dict[str, Any]) -> str:
    """`sent  12:00:01.131  +0.01 s`."""
    at, began = when.parsed(step.at), when.parsed(row["created_at"])
    if at is None or began is None:
        return step.word
    passed = (at - began).total_seconds()
    return f"{step.word:<9} {at.astimezone():%H:%M:%S}.{at.microsecond // 1000:03d}  {passed:+.2f} s"


def why(row: dict[str, Any]) -> str:
    """Why a trigger has no picture, and what to do."""
    said = [str(row[key]) for key in ("reason", "detail") if row[key]]
    late = " A picture taken in time may still come." if row["provisional"] else ""
    return ": ".join(said) + (f". {row['remedy']}" if row["remedy"] else "") + late


def until_ended(
    cloud: Cloud,
    watched: Iterable[Watched],
    *,
    seconds: float | None,
    told: Callable[[Watched], None],
    began: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Asks until each has ended; `told` is called for each answer. Raises Failure, STILL_GOING after `seconds`.

    Many are looked for in the ledger from `began` on. A cloud that is away for a while is waited for: what was set off
    goes on without it.
    """
    waiting = [one for one in watched if not one.ended]
    until = None if seconds is None else time.monotonic() + seconds
    pause = _FASTEST
    while waiting:
        try:
            many = began is not None and len(waiting) > _FEW and _in_the_ledger(cloud, waiting, began, told)
            for one in () if many else waiting:
                one.row = cloud.get(path("triggers", one.device_id, one.trigger_id))
                told(one)
                if until is not None and time.monotonic() >= until:
                    break
                sleep(_EVERYBODY)
        except Failure as error:
            if error.status is not ExitStatus.CLOUD_AWAY:
                raise
        waiting = [one for one in waiting if not one.ended]
        if waiting and until is not None and time.monotonic() >= until:
            raise Failure(
                f"{len(waiting)} of the triggers had not ended after {when.length(seconds or 0)}; they go on: "
                f"visant triggers show {waiting[0].device_id} {waiting[0].trigger_id}",
                ExitStatus.STILL_GOING,
            )
        if waiting:
            sleep(pause)
            pause = min(_SLOWEST, pause * 1.3)


def _in_the_ledger(cloud: Cloud, waiting: list[Watched], began: str, told: Callable[[Watched], None]) -> bool:
    """Looks for many at once; False where this cloud has no ledger over all devices."""
    by_key = {(one.device_id, one.trigger_id): one for one in waiting}
    query: dict[str, Any] = {"from": began, "limit": 1000}
    try:
        for row in cloud.pages(path("triggers"), "triggers", **query):
            one = by_key.get((row["device_id"], row["trigger_id"]))
            if one is not None and one.row != row:
                one.row = row
                told(one)
    except CloudRefused as error:
        if error.http_status != 404:
            raise
        return False
    return True
