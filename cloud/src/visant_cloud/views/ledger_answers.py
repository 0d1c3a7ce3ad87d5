"""What the ledger over the fleet and its slots answer."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from visant_cloud.times import Time
from visant_cloud.views.answers import MissedTimes, TriggerRow

NextPage = Annotated[
    str | None,
    Field(
        description="send it as `cursor` for what follows; null at the end. A page may hold fewer than asked for, "
        "or none, and go on all the same: it looks through so many triggers at most"
    ),
]
Percent = Annotated[float | None, Field(description="0 to 100; null where no slot was due")]


class LedgerPage(TypedDict):
    """The newest first, by when they were made."""

    triggers: list[TriggerRow]
    next: NextPage


class SlotRow(TypedDict):
    """One scheduled time of which a trigger was made. `state`: `waiting` while it has not ended."""

    device_id: str
    scheduled_for: Time
    deadline: Time | None
    state: Literal["waiting", "useful", "gap"]
    cause: Annotated[
        str | None, Field(description="of a gap: failed, expired, late, not_fresh or not_useful; null: no gap")
    ]
    reason: str | None
    remedy: str | None
    trigger_id: str
    captured_at: Time | None
    stored_at: Time | None
    record_id: str | None


class MissedRun(MissedTimes):
    """Scheduled times in a row of which no trigger was made."""

    device_id: str


# `from` is a word of Python
_Span = TypedDict("_Span", {"from": Time, "to": Time})


class SlotPage(_Span):
    """The newest first, by when their triggers were made; `missed` are runs that reach into this time, and stand on the
    first page alone, the newest first."""

    slots: list[SlotRow]
    missed: list[MissedRun]
    next: NextPage


class GapCount(TypedDict):
    """Slots that were due and have no picture that counts, by why."""

    cause: str
    reason: str | None
    remedy: str | None
    count: int


class SlotShare(TypedDict):
    """Of one device, site or group."""

    name: str | None
    due: int
    useful: int
    percent: Percent


_Days = TypedDict("_Days", {"from": str, "to": str})


class SlotSummary(_Days):
    """`due`: slots that are over, without those of barred devices, which `not_active` counts. `useful`: of them, those
    with a whole, fresh, useful picture by their deadline; `gaps`: all others. Days are UTC, `to` is the one after."""

    due: int
    useful: int
    percent: Percent
    not_active: int
    gaps: list[GapCount]
    by: list[SlotShare]
