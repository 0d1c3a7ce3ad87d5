"""What the endpoints for many devices answer, by field, as answers.py does."""

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from visant_cloud.times import Time

JobStatus = Annotated[str, Field(description="waiting, running, done, cancelled or failed")]
CodeState = Literal["unused", "code used", "connected", "first picture", "expired", "revoked"]


class GroupRow(TypedDict):
    """One group; `devices`: how many are in it."""

    group_id: int
    name: str
    created_at: Time
    devices: int


class Groups(TypedDict):
    """All of an organisation, by name."""

    groups: list[GroupRow]


class TagRow(TypedDict):
    """A tag that some devices have."""

    tag: str
    devices: int


class Tags(TypedDict):
    """All that some device has, by name."""

    tags: list[TagRow]


class JobRow(TypedDict):
    """One job. `done` of `total` pieces are through, `failed` of them without success."""

    job_id: int
    kind: str
    status: JobStatus
    given: dict[str, Any]
    total: int
    done: int
    failed: int
    rate: Annotated[float | None, Field(description="pieces a second at most")]
    detail: str | None
    result: dict[str, Any] | None
    created_by: str
    created_at: Time
    started_at: Time | None
    ended_at: Time | None


class JobPage(TypedDict):
    """Newest first; `next_before` continues, null at the end."""

    jobs: list[JobRow]
    next_before: int | None


class JobItem(TypedDict):
    """A device of a job. `outcome` is null until it was its turn."""

    number: int
    device_id: str
    outcome: Annotated[str | None, Field(description="done or failed")]
    detail: str | None


class JobItems(TypedDict):
    """In the order in which they are done; `next_after` continues, null at the end."""

    job_id: int
    items: list[JobItem]
    next_after: int | None


class Preview(TypedDict):
    """What a selection means now: `devices` begins the list, `unknown` are ids that nobody has."""

    total: int
    states: dict[str, int]
    devices: list[str]
    unknown: list[str]
    unknown_count: int


class EnrolCodeRow(TypedDict):
    """One code of a batch: how far its device is."""

    number: int
    state: CodeState
    device_id: str | None
    name: str | None
    used_at: Time | None


class EnrolBatchRow(TypedDict):
    """A batch of enrolment codes. `states`: how many codes are so far."""

    batch_id: int
    title: str
    group: str | None
    created_by: str
    created_at: Time
    expires_at: Time
    total: int
    states: dict[str, int]


class EnrolBatches(TypedDict):
    """Newest first; `next_before` continues, null at the end."""

    batches: list[EnrolBatchRow]
    next_before: int | None


class EnrolBatch(EnrolBatchRow):
    """One, with its codes; what they are was told when they were made."""

    codes: list[EnrolCodeRow]


class NewCode(TypedDict):
    """A code, told once: only its hash is kept."""

    number: int
    code: str
    device_id: str | None
    name: str | None


class NewEnrolBatch(TypedDict):
    """A new batch and its codes."""

    batch_id: int
    expires_at: Time
    codes: list[NewCode]


class Replacement(TypedDict):
    """A code with which another computer becomes this device. Told once."""

    device_id: str
    code: str
    expires_at: Time
