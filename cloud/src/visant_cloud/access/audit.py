"""Every change is recorded, and every look at a picture: by the route (guarded.py), not by whoever writes a handler.

A change that goes through `Database.writing` has its record in the same transaction: one without the other there is
not, and a log that cannot be written refuses the change. What remains (a trigger, which is one statement that commits
by itself; requests that were refused; looks) is written by later.py within a second.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.exceptions import HTTPException

from visant_cloud.access.callers import Caller
from visant_cloud.context import Cloud, cloud_of
from visant_cloud.database.engine import DATABASE_ERRORS, RIDER
from visant_cloud.database.json_values import to_json
from visant_cloud.store import audit

_ENTRY = "visant.audit"
"""Key of the scope: the record of this request."""
_MAX_OBJECT = 600
_MAX_VALUE = 8192
"""Bytes of JSON of `before` and of `after`."""


async def looked_at() -> None:
    """Dependency that marks a route which shows or exports pictures: its GET is recorded as well."""


class Entry:
    """The record of one request."""

    def __init__(self, cloud: Cloud, caller: Caller, request: Request, action: str, status: int) -> None:
        self._cloud = cloud
        self._riding: dict[str, Any] | None = None
        self._written: dict[str, Any] | None = None
        self._audit_id = 0
        self._ended = False
        self._before: Any = None
        self._after: Any = None
        self._expected = status
        named = " ".join(str(value) for value in request.path_params.values())
        self._row: dict[str, Any] = {
            "at": cloud.now(),
            "organisation_id": caller.scope.organisation_id,
            "who": caller.name,
            "way": caller.way,
            "address": request.client.host if request.client else None,
            "action": action,
            "object": named[:_MAX_OBJECT],
        }

    def note(self, what: str | None, before: Any, after: Any) -> None:
        """What it was about."""
        if what is not None:
            self._row["object"] = what[:_MAX_OBJECT]
        if isinstance(before, dict) and isinstance(after, dict):  # what stays as it is says nothing
            same = {key for key in before.keys() & after.keys() if before[key] == after[key]}
            before, after = ({k: v for k, v in one.items() if k not in same} for one in (before, after))
        self._before, self._after = _bounded(before), _bounded(after)

    def _as_of(self, status: int) -> dict[str, Any]:
        return {**self._row, "status": status, "before": self._before, "after": self._after}

    async def ride(self, connection: AsyncConnection) -> None:
        """In the transaction of the change; neither a handler's second one nor a task that outlives it adds another."""
        if self._written is None and not self._ended:
            self._riding = self._as_of(self._expected)
            self._audit_id = await audit.add(connection, self._riding)

    def arrived(self) -> None:
        """The change is committed, and this with it."""
        self._written = self._riding

    def end(self, status: int) -> None:
        """The answer is known."""
        self._ended, row = True, self._as_of(status)
        if self._written is None:
            self._cloud.later.record(row)
        elif self._written != row:
            self._cloud.later.correct(self._audit_id, row)


def _bounded(value: Any) -> Any:
    size = len(to_json(value))
    return value if size <= _MAX_VALUE else {"left_out": f"{size} bytes"}


def changed(request: Request, *, what: str | None = None, before: Any = None, after: Any = None) -> None:
    """For a handler, before its transaction ends: what the change is about. `what`: the object where the path does not
    name it. Never a secret: no password, no token, no address that holds one.
    """
    entry: Entry | None = request.scope.get(_ENTRY)
    if entry is not None:
        entry.note(what, before, after)


@contextmanager
def recording(request: Request, caller: Caller, action: str, status: int) -> Iterator[Entry]:
    """Around a handler: what it writes takes the record along."""
    entry = Entry(cloud_of(request), caller, request, action, status)
    request.scope[_ENTRY] = entry
    before = RIDER.set(entry)
    try:
        yield entry
    finally:
        RIDER.reset(before)


def status_of(error: BaseException) -> int:
    """What a request will be answered that ended so."""
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, RequestValidationError):
        return 422
    return 503 if isinstance(error, DATABASE_ERRORS) else 500
