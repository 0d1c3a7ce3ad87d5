"""The ends of a trigger. `captured` is a stored picture; the other two are reports with a reason of a closed list."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field


class Reason(StrEnum):
    """Why a trigger ended without a picture. The value is what crosses the wire; REMEDY says what to do."""

    CAMERA_ABSENT = "camera_absent"
    CAMERA_STALLED = "camera_stalled"
    CAMERA_STARTING = "camera_starting"
    CAMERA_UNREACHABLE = "camera_unreachable"
    BAD_FRAMES = "bad_frames"
    SPOOL_FULL = "spool_full"
    SPOOL_CORRUPT = "spool_corrupt"
    UNKNOWN_COMMAND = "unknown_command"
    BROKEN_COMMAND = "broken_command"
    CONFIG_REFUSED = "config_refused"
    REJECTED_400 = "rejected_400"
    REJECTED_413 = "rejected_413"
    REJECTED_415 = "rejected_415"
    REJECTED_422 = "rejected_422"
    REFUSED_ON_THE_WAY = "refused_on_the_way"
    DEADLINE_PASSED = "deadline_passed"
    REBOOTED = "rebooted"
    DEVICE_SILENT = "device_silent"


REMEDY: dict[Reason, str] = {
    Reason.CAMERA_ABSENT: "Plug the camera in, or correct CAMERA_SOURCE; "
    "`visant-camera probe` lists what the device sees.",
    Reason.CAMERA_STALLED: "The camera is there but sends nothing: replug it, try another port or a powered hub.",
    Reason.CAMERA_STARTING: "The camera was still opening or warming up; trigger again.",
    Reason.CAMERA_UNREACHABLE: "The camera service did not answer: `docker compose ps`, `docker compose logs camera`.",
    Reason.BAD_FRAMES: "Only broken pictures came: check cable and power, lower CAMERA_RESOLUTION.",
    Reason.SPOOL_FULL: "The device holds as many undelivered pictures as it may: restore its uplink, "
    "or raise SPOOL_MAX_BYTES.",
    Reason.SPOOL_CORRUPT: "The card returned a damaged file (kept in the quarantine folder): replace the card.",
    Reason.UNKNOWN_COMMAND: "The device does not know this command: update it.",
    Reason.BROKEN_COMMAND: "The command's fields could not be read: look at the cloud that sent it.",
    Reason.CONFIG_REFUSED: "The device refused the settings; the detail names key and range.",
    Reason.REJECTED_400: "The cloud refused the capture as malformed; it lies in the dead-letter folder.",
    Reason.REJECTED_413: "The cloud refused the capture as too large: lower CAMERA_RESOLUTION, or raise its limit.",
    Reason.REJECTED_415: "The cloud refused the capture's type; it lies in the dead-letter folder.",
    Reason.REJECTED_422: "The cloud refused a field of the capture or cannot decode its picture; it lies in the "
    "dead-letter folder.",
    Reason.REFUSED_ON_THE_WAY: "Something before the cloud refused this picture for a day and let others pass: look at "
    "proxy, firewall and size limits, then `visant-uploader spool requeue` sends it again.",
    Reason.DEADLINE_PASSED: "The device got to the command too late; look at its connection and its backlog.",
    Reason.REBOOTED: "The device restarted before it could take the picture and the command expired meanwhile.",
    Reason.DEVICE_SILENT: "Said by the cloud alone: the device was silent until the deadline. A late picture mends it.",
}


def remedy(reason: str | None) -> str | None:
    """What to do about a reason; None for none, and for one of another version."""
    try:
        return None if reason is None else REMEDY[Reason(reason)]
    except ValueError:
        return None


def _known_reason(value: Any) -> Any:
    """A reason of a newer device is kept as text instead of being refused with the outcome it explains."""
    try:
        return Reason(value)
    except ValueError:
        return value


OutcomeStatus = Literal["executed", "failed", "expired"]
"""`executed` is only for commands that yield no picture (update_config); a capture says it by arriving."""


class OutcomeReport(BaseModel):
    """Body of `POST /v1/devices/{device_id}/triggers/{trigger_id}/outcome`."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        json_schema_extra={
            "anyOf": [
                {"properties": {"status": {"const": "executed"}}},
                {"properties": {"reason": {"type": "string"}}, "required": ["reason"]},
            ]
        },
    )

    status: OutcomeStatus
    reason: Annotated[
        Reason | Annotated[str, Field(min_length=1, max_length=100)] | None, BeforeValidator(_known_reason)
    ] = None
    """Always set for `failed` and `expired`."""
    detail: Annotated[str, Field(max_length=2000)] = ""
    at: AwareDatetime | None = None
    """When the device decided, by the cloud's clock as far as the device knows it."""
    metadata: dict[str, Any] = Field(default_factory=dict)


def rejected_reason(status: int) -> Reason:
    """The reason for an HTTP status that refuses an item for good: 400, 413, 415 or 422."""
    return Reason(f"rejected_{status}")
