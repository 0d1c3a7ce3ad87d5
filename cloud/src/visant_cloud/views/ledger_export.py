"""Triggers as lines of a file: CSV for spreadsheets, JSON for programs."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from visant_cloud.database.json_values import to_json
from visant_cloud.store.captures import Capture
from visant_cloud.store.ledger import Label
from visant_cloud.store.triggers import Trigger
from visant_cloud.views import as_json
from visant_cloud.views.answers import TriggerRow

MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
Rows = Sequence[tuple[Trigger, Capture | None]]
Of = Mapping[str, Label]

_OWN = (
    *("device_id", "trigger_id", "kind", "type", "status", "reason", "detail", "provisional", "gap", "schedule_id"),
    *("scheduled_for", "created_at", "expires_at", "sent_at", "captured_at", "stored_at", "ended_at", "latency_ms"),
    "record_id",
)
_STEPS = ("sent", "admitted", "camera_asked", "exposed", "decided", "spooled", "upload_began", "stored", "ended")
COLUMNS = ("device_id", "device_name", "site", *_OWN[1:], *(f"{step}_after_seconds" for step in _STEPS))
"""`sent_after_seconds`: since the step before, which is the next one to the left that is not empty."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""With these, the full-width ones as well, a spreadsheet takes a text for a formula and runs it
(owasp.org/www-community/attacks/CSV_Injection)."""


def _ndjson(rows: Rows, of: Of) -> bytes:
    lines = ({**as_json.trigger(*row), **_device(row[0], of)} for row in rows)
    return "".join(f"{to_json(line)}\n" for line in lines).encode()


def _csv(rows: Rows, of: Of) -> bytes:
    return _lines(_cells(as_json.trigger(*row), _device(row[0], of)) for row in rows)


def _device(row: Trigger, of: Of) -> dict[str, str | None]:
    known = of.get(row.device_key, Label(None, None))
    return {"device_name": known.name, "site": known.site}


def _cells(row: TriggerRow, device: Mapping[str, str | None]) -> list[Any]:
    given: Mapping[str, Any] = row
    after = {stage["name"]: stage["seconds_since_previous"] for stage in row["stages"]}
    own = [row["device_id"], device["device_name"], device["site"], *(given[name] for name in _OWN[1:])]
    return [*own, *(after.get(step) for step in _STEPS)]


def _lines(lines: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in line] for line in lines)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    """A text that would run begins with an apostrophe, which a spreadsheet takes for `this is text`."""
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA) else value


@dataclass(frozen=True)
class Writer:
    """`head` comes first, then `rows` of each piece."""

    head: bytes
    rows: Callable[[Rows, Of], bytes]


WRITERS = {
    # Excel reads UTF-8 as such only behind this mark
    "csv": Writer("\ufeff".encode() + _lines([COLUMNS]), _csv),
    "ndjson": Writer(b"", _ndjson),
}
