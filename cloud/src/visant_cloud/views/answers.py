"""What the endpoints answer, by field: `as_json.py` makes it of rows, and the API's description shows it.

A field that is null is there all the same. Times are RFC 3339, UTC, microseconds.
"""

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes the standard library's from Python 3.12 on

from visant_cloud.alerts.states import State as HealthState
from visant_cloud.alerts.words import AlertData
from visant_cloud.times import Time
from visant_cloud.views.quality_answers import OwnEvaluation
from visant_cloud.views.stages import StageRow

State = Literal["connected", "degraded", "offline", "never_seen", "inactive"]
Status = Annotated[str, Field(description="pending, sent, executed, failed or expired; a newer release may know more")]


class Fired(TypedDict):
    """A trigger that was taken on. `status` is `sent` where the device is connected, else `queued`, or how it ended."""

    trigger_id: str
    device_id: str
    status: Annotated[str, Field(description="sent or queued; executed, failed or expired where it has ended already")]
    connected: bool
    created_at: Time
    expires_at: Time | None


class TriggerRow(TypedDict):
    """One trigger of the ledger. `latency_ms`: from `created_at` to `stored_at`, milliseconds."""

    seq: int
    device_id: str
    trigger_id: str
    kind: str
    type: str
    status: Status
    reason: str | None
    detail: str | None
    remedy: str | None
    provisional: bool
    created_at: Time
    expires_at: Time | None
    sent_at: Time | None
    ended_at: Time | None
    stored_at: Time | None
    captured_at: Time | None
    latency_ms: float | None
    record_id: str | None
    schedule_id: Annotated[int | None, Field(description="whose slot it is; null: of none")]
    scheduled_for: Time | None
    gap: Annotated[
        str | None, Field(description="why the picture of a slot does not count: late, not_fresh or not_useful")
    ]
    stages: list[StageRow]
    history: list[dict[str, Any]]


class TriggerPage(TypedDict):
    """Newest first; `next_before` continues, null at the end."""

    triggers: list[TriggerRow]
    next_before: int | None


class Ended(TypedDict):
    """What the ledger says of a trigger now."""

    device_id: str
    trigger_id: str
    status: Status
    reason: str | None


_STATES = "useful, dark, bright, blurred, frozen, covered or moved; a newer release may know more"


class CaptureRow(TypedDict):
    """One stored picture; `picture` and `thumbnail` are paths of this cloud."""

    seq: int
    record_id: str
    device_id: str
    trigger_id: str | None
    trigger_label: str | None
    captured_at: Time
    captured_at_uncertainty: float | None
    received_at: Time
    bytes: int
    width: int
    height: int
    sha256: str
    picture: str
    thumbnail: str
    metadata: dict[str, Any]
    evaluation_status: Literal["evaluated", "pending"]
    state: Annotated[str | None, Field(description=_STATES)]
    score: float | None
    reason: str | None
    evaluated_at: Time | None
    figures: dict[str, Any] | None
    own_evaluation: OwnEvaluation | None


class CapturePage(TypedDict):
    """Newest received first, and `next_before` continues; newest taken first where a filter asks for more than a
    device, and `next_cursor` does. Null at the end."""

    captures: list[CaptureRow]
    next_before: int | None
    next_cursor: str | None


class HealthCause(TypedDict):
    """Why a device is not ok. `since` is null where nobody knows."""

    kind: Annotated[str, Field(description="as in /v1/alerts/kinds, or `other`")]
    since: Time | None
    detail: str
    remedy: str


class DeviceHealth(TypedDict):
    """How a device is. Of a silent one nothing else is known."""

    state: HealthState
    since: Time | None
    causes: list[HealthCause]


class DeviceRow(TypedDict):
    """One device; `subscribers` are its open streams, over all processes."""

    device_id: str
    name: Annotated[str | None, Field(description="as people call it; null: by its id")]
    state: State
    health: DeviceHealth
    site: str | None
    groups: list[str]
    tags: list[str]
    notes: str | None
    subscribers: int
    active: bool
    access: Literal["token", "revoked", "id_alone", "none"]
    created_at: Time
    last_seen_at: Time | None
    device_version: str | None
    config: dict[str, Any] | None
    interval_seconds: float | None
    next_scheduled_at: Time | None
    telemetry: dict[str, Any] | None
    telemetry_at: Time | None


class DeviceList(TypedDict):
    """Some devices, `count` of the `total` that fit; `states` and `alerting`: of all that fit, how many are so.

    `next_cursor` continues, null at the end.
    """

    devices: list[DeviceRow]
    count: int
    total: int
    states: dict[State, int]
    alerting: Annotated[int, Field(description="devices with an open alert")]
    next_cursor: str | None


class Streams(TypedDict):
    """The open streams of a device."""

    device_id: str
    subscribers: int


class ConnectedDevices(TypedDict):
    """Those whose stream is open."""

    devices: list[Streams]
    count: int


class DeviceToken(TypedDict):
    """A device's token: told once, for only its hash is kept."""

    device_id: str
    token: str


class Scheduled(TypedDict):
    """When a device takes pictures by itself; null: never."""

    device_id: str
    interval_seconds: float | None
    next_scheduled_at: Time | None


class MissedTimes(TypedDict):
    """Scheduled times in a row that passed without a trigger."""

    first: Time
    last: Time
    count: int
    reason: str


class MissedRuns(TypedDict):
    """The newest first."""

    device_id: str
    missed: list[MissedTimes]


class Configured(TypedDict):
    """`trigger_id`: under which the device reports whether it could apply them; null where it is not connected."""

    device_id: str
    config: dict[str, Any]
    connected: bool
    trigger_id: str | None


class AlertRow(AlertData):
    """One alert. `subject`: a device's id, `/channel/7` or `/cloud`; `told`: whether a message said that it opened."""

    subject: str
    told: bool


class AlertPage(TypedDict):
    """Newest first; `next_before` continues, null at the end."""

    alerts: list[AlertRow]
    next_before: int | None


class AlertKind(TypedDict):
    """`hold`: seconds that it must last before an alert opens; `clear`: that it must be gone before it is cleared."""

    kind: str
    title: str
    remedy: str
    hold: float
    clear: float


class AlertKinds(TypedDict):
    """Every kind of alert."""

    kinds: list[AlertKind]


class SilenceRow(TypedDict):
    """Nobody is told of what matches all that is not null."""

    silence_id: int
    device_id: str | None
    site: str | None
    kind: str | None
    until: Time
    note: str | None
    created_by: str
    created_at: Time


class Silences(TypedDict):
    """Those that last."""

    silences: list[SilenceRow]


class ChannelRow(TypedDict):
    """One channel. `failures`: attempts in a row that failed."""

    channel_id: int
    type: Literal["webhook", "email", "apprise"]
    name: str
    target: str
    kinds: list[str] | None
    active: bool
    state: Literal["new", "ok", "failing", "dead", "off"]
    failures: int
    last_answer: str | None
    last_at: Time | None
    created_at: Time


class NewChannelRow(ChannelRow):
    """`secret`: told once; null where nothing is signed with one."""

    secret: str | None


class ChannelSecret(TypedDict):
    """Told once."""

    channel_id: int
    secret: str


class Channels(TypedDict):
    """All of an organisation."""

    channels: list[ChannelRow]


class DeliveryRow(TypedDict):
    """A message on its way to a channel, or at its end. `answer`: how its last attempt ended."""

    delivery_id: int
    status: Literal["waiting", "delivered", "given_up"]
    type: str
    title: str
    text: str
    attempts: int
    answer: str | None
    created_at: Time
    next_at: Time | None
    ended_at: Time | None


class DeliveryPage(TypedDict):
    """Newest first; `next_before` continues, null at the end."""

    deliveries: list[DeliveryRow]
    next_before: int | None


class Replayed(TypedDict):
    """It waits to be sent once more."""

    delivery_id: int
    status: Literal["waiting"]
