"""What the gallery's endpoints answer, by field."""

from typing_extensions import TypedDict

from visant_cloud.times import Time
from visant_cloud.views.answers import CaptureRow


class OfDevice(TypedDict):
    """A device's picture of a moment. `seconds`: after it; negative: before."""

    device_id: str
    capture: CaptureRow | None
    seconds: float | None


class Moment(TypedDict):
    """By device id; `next_after` continues, null at the end."""

    at: Time
    devices: list[OfDevice]
    next_after: str | None
