"""Where the time of a trigger went: its steps in the cloud and on the device as one road. Pure.

Two clocks tell it, and the device's may be wrong. Between steps of one clock the seconds are exact. Where the device's
word cannot be, because a step would lie before the trigger was made or after its outcome came, by more than its clock
may be wrong, all steps of that boot are moved together by the least that makes it possible; they say
`device_corrected`, and how far that can be wrong. What was told stands in the capture's metadata as it came.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from visant_cloud.store.captures import Capture
from visant_cloud.store.triggers import Trigger
from visant_cloud.times import Time, time
from visant_contract.stages import KEY, Stage, read_stages

Clock = Literal["cloud", "device", "device_corrected"]


class StageRow(TypedDict):
    """One step of a trigger. `seconds_since_previous` is null of the first, and where nobody can tell."""

    name: Annotated[
        str,
        Field(
            description="accepted, sent, admitted, camera_asked, exposed or decided, spooled, upload_began, and stored "
            "or ended"
        ),
    ]
    at: Time
    seconds_since_previous: float | None
    clock: Annotated[Clock, Field(description="who said `at`; device_corrected: moved to where it can have been")]
    uncertainty: Annotated[
        float | None,
        Field(
            description="seconds by which `seconds_since_previous` may be wrong, as two clocks tell it; null: unknown"
        ),
    ]


@dataclass(frozen=True)
class _Step:
    name: str
    at: datetime
    clock: Clock = "cloud"
    uncertainty: float | None = 0.0
    boot: str | int = ""
    """Steps of one clock that nobody set in between."""


def stages(trigger: Trigger, capture: Capture | None) -> list[StageRow]:
    """As far as they are known, in the order of the road."""
    first = _Step("accepted", trigger.created_at)
    sent = [] if trigger.sent_at is None else [_Step("sent", trigger.sent_at)]
    last = _end(trigger, capture)
    device = _of_device(trigger, capture)
    runs = [list(run) for _, run in groupby(device, key=lambda step: step.boot)]
    placed = [step for run in runs for step in _placed(run, first.at, None if last is None else last.at)]
    return list(_rows([first, *sent, *placed, *([] if last is None else [last])]))


def _end(trigger: Trigger, capture: Capture | None) -> _Step | None:
    if capture is not None:
        return _Step("stored", capture.received_at)
    if trigger.ended_at is None:
        return None
    return _Step("stored" if trigger.status == "executed" and trigger.kind == "capture" else "ended", trigger.ended_at)


def _of_device(trigger: Trigger, capture: Capture | None) -> list[_Step]:
    told = read_stages({KEY: trigger.stages} if capture is None else capture.metadata)
    if capture is not None and "exposed" not in told:  # of a plain device, or one of an earlier release
        told = {"exposed": Stage(at=capture.captured_at, uncertainty=capture.uncertainty), **told}
    return [
        _Step(name, stage.at, "device", stage.uncertainty, number if stage.boot_id is None else stage.boot_id)
        for number, (name, stage) in enumerate(told.items())
    ]


def _placed(run: list[_Step], earliest: datetime, latest: datetime | None) -> list[_Step]:
    """Steps of one boot, where they can have been: between the trigger's begin and its end."""
    least = (earliest - run[0].at).total_seconds()
    most = None if latest is None else (latest - run[-1].at).total_seconds()
    known = run[0].uncertainty
    wrong_by = 0.0
    if least > (known or 0.0):
        wrong_by = least
    elif most is not None and most < -(known or 0.0):
        wrong_by = most
    if most is None or most < least:  # it has not ended, or the cloud's own clock was set meanwhile: nothing is known
        return run
    if not wrong_by:
        span = max(abs(least), abs(most))
        return [replace(step, uncertainty=span if known is None else min(known, span)) for step in run]
    moved = timedelta(seconds=wrong_by)
    return [replace(step, at=step.at + moved, clock="device_corrected", uncertainty=most - least) for step in run]


def _rows(steps: list[_Step]) -> Iterator[StageRow]:
    before: _Step | None = None
    for step in steps:
        seconds, uncertainty = (None, None) if before is None else _between(before, step)
        yield {
            "name": step.name,
            "at": time(step.at),
            "seconds_since_previous": None if seconds is None else round(seconds, 6),
            "clock": step.clock,
            "uncertainty": None if uncertainty is None else round(uncertainty, 6),
        }
        before = step


def _between(before: _Step, step: _Step) -> tuple[float | None, float | None]:
    """(seconds, by how many they may be wrong)."""
    seconds = (step.at - before.at).total_seconds()
    uncertainty: float | None = 0.0
    if before.boot != step.boot:
        uncertainty = None
        if before.uncertainty is not None and step.uncertainty is not None:
            uncertainty = before.uncertainty + step.uncertainty
    if seconds >= 0:
        return seconds, uncertainty
    if uncertainty is not None and -seconds <= uncertainty:
        return 0.0, uncertainty  # no step comes before the one before it: as far as is known, no time passed
    return None, None
