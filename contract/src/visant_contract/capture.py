"""A picture on its way to the cloud, and the receipt."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from visant_contract.ids import TriggerId

IDEMPOTENCY_KEY = "Idempotency-Key"

MEANT_FOR = "X-Visant-Cloud"
"""Header of captures and outcomes: the cloud_id that the device believes to speak to, percent-encoded where it is no
visible ASCII. A cloud with another id answers 412 and stores nothing: its database was reset, or an address was given
to another cloud, and the device has not heard of it yet. Plain clouds ignore it."""

JPEG = "image/jpeg"
"""Media type of a raw capture, for clouds that announce it in `accepts` of `connected`."""
CAPTURE_HEADER = "Visant-Capture"
"""Header of a raw capture: CaptureFields as JSON in ASCII."""
CAPTURE_HEADER_MAX = 4096
"""Bytes of it; a capture that needs more goes as JSON. Proxies take 8 KiB of all headers together, or less."""

TRIGGER_LABEL_MAX = 100
"""Characters that a plain cloud stores of `trigger_label`."""


def _plain_time(value: Any) -> Any:
    """Plain devices send UTC without saying so."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value  # pydantic reads other forms, and says what is wrong with the rest
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


class CaptureFields(BaseModel):
    """All of a capture but its picture; of a raw one, header `Visant-Capture`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    device_id: Annotated[str, Field(min_length=1, max_length=200)]
    trigger_id: TriggerId | None = None
    """Plain devices may send none; ours always does."""
    captured_at: Annotated[AwareDatetime, BeforeValidator(_plain_time)]
    trigger_label: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class CaptureUpload(CaptureFields):
    """Body of `POST /v1/captures`; header `Idempotency-Key: <trigger_id>`."""

    image_base64: str


class CaptureTime(BaseModel):
    """What the device knows about when a picture was taken; part of `metadata` under the key `time`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    boot_id: str
    boottime: float
    """CLOCK_BOOTTIME of the exposure, seconds."""
    wall: AwareDatetime
    """The device's wall clock at the exposure, as it stood then."""
    synchronised: bool
    """Whether the kernel called the wall clock synchronised then (adjtimex)."""
    corrected: bool = False
    """`captured_at` was moved since, by the cloud's clock or a clock set later in the same boot."""
    uncertainty: float | None = None
    """Seconds by which captured_at may be wrong; None: unknown."""


class CaptureReceipt(BaseModel):
    """201 (stored now) or 200 (stored before): what `POST /v1/captures` answers. Plain clouds send a subset."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    record_id: str
    device_id: str | None = None
    captured_at: AwareDatetime | None = None
    ingested_at: AwareDatetime | None = None
    evaluation_status: str | None = "pending"
    state: str | None = None
    score: float | None = None
    reason: str | None = None
    evaluated_at: AwareDatetime | None = None
    image_stored: bool = True
    thumbnail_stored: bool = False


def trigger_label(trigger_type: str, trigger_id: str) -> str:
    """`<type>_<trigger_id>`, cut to what a plain cloud stores."""
    return f"{trigger_type}_{trigger_id}"[:TRIGGER_LABEL_MAX]


TriggerStatus = Literal["pending", "sent", "executed", "failed", "expired"]
