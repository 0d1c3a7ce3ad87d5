"""What is answered of a device's pictures: their reference, their mask, and what a program of the customer's says."""

from typing_extensions import TypedDict  # pydantic takes the standard library's from Python 3.12 on

from visant_cloud.times import Time


class OwnEvaluation(TypedDict):
    """What a program of the customer's says of a picture, in its own words."""

    state: str | None
    score: float | None
    reason: str | None
    evaluated_at: Time
    evaluated_by: str


class Reference(TypedDict):
    """The picture that a device's are compared with; null: there is none."""

    device_id: str
    record_id: str | None
    picture: str | None


class Mask(TypedDict):
    """What of a device's pictures does not count. `masked`: part of the picture, 0 to 1, in 48 tiles."""

    device_id: str
    polygons: list[list[list[float]]]
    masked: float
