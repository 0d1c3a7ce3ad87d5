"""What the routes of telemetry over time answer, by field."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes the standard library's from Python 3.12 on


class TelemetryPlot(TypedDict):
    """`data`: seconds since 1970, then one list for each of `fields`, all as long; null where nothing was told."""

    device_id: str
    resolution: Annotated[Literal["raw", "5min"], Field(description="each report, or every step of five minutes")]
    fields: list[str]
    data: list[list[float | str | None]]
