"""Times as the API and its messages write them: RFC 3339, UTC, microseconds."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""In an answer's type."""


def time(value: datetime) -> str:
    """`2026-11-22T14:05:30.123456+00:00`."""
    return value.isoformat(timespec="microseconds")


def time_or_none(value: datetime | None) -> str | None:
    """The same, or None."""
    return None if value is None else time(value)
