"""What the endpoints of shared schedules answer, by field. Times are RFC 3339, UTC, microseconds, but for `local`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from visant_cloud.schedules.rule import Rule
from visant_cloud.times import Time


class Firing(TypedDict):
    """One slot. A device with jitter fires a little later."""

    at: Time
    local: Annotated[str, Field(description="RFC 3339, in the rule's zone", json_schema_extra={"format": "date-time"})]
    text: Annotated[str, Field(description="the same in words")]
    note: Annotated[str | None, Field(description="what happens as the clocks are set on this day; null on others")]


class Firings(TypedDict):
    """The next slots, fewer than asked for where the rule ends; `text`: the rule in words."""

    text: str
    zone: str
    firings: list[Firing]


class SharedScheduleRow(TypedDict):
    """One schedule. `next_at`: its next slot; null: never again, or not active. `devices`: how many it has now."""

    schedule_id: int
    name: str
    active: bool
    rule: Rule
    text: str
    next_at: Time | None
    devices: int
    version: int
    created_at: Time
    updated_at: Time


class Attached(TypedDict):
    """Devices by id, groups by name."""

    devices: list[str]
    groups: list[str]
    tags: list[str]


class SharedScheduleDetail(SharedScheduleRow):
    """The same, and what it is attached to."""

    attached: Attached


class SharedSchedulePage(TypedDict):
    """Newest first; `next_before` continues, null at the end."""

    schedules: list[SharedScheduleRow]
    next_before: int | None


class AppliedSchedule(TypedDict):
    """A shared schedule that a device has. `next_at`: when the device fires next, its jitter included."""

    schedule_id: int
    name: str
    active: bool
    text: str
    next_at: Time | None


class AppliedSchedules(TypedDict):
    """By name. The device's own interval is in `GET /v1/devices/{device_id}`."""

    device_id: str
    schedules: list[AppliedSchedule]
