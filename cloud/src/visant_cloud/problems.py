"""Errors as RFC 9457 problem details; plain peers read `detail`."""

import random
import time
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy import exc
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from visant_cloud.captures.storage import StorageAway
from visant_cloud.database import trouble as troubles
from visant_cloud.database.engine import first_line
from visant_cloud.database.trouble import Trouble
from visant_cloud.metrics import REFUSALS
from visant_cloud.store.device_states import DeviceGone
from visant_contract.errors import PROBLEM_JSON, Problem

log = structlog.get_logger()

_DATABASE_RETRY = 3, 10
"""Seconds until it is worth asking again: another number for each, so that not all come at one instant."""
_LONGER = 15, 45
"""The same where a person must act first, most likely."""
_STORAGE_RETRY = 10, 20
"""The same for a picture storage."""
_BUSY_RETRY = 5, 20
"""The same where a process has no room for one connection more."""
_DETAILS = {
    Trouble.READ_ONLY: "The database takes no writes at this moment; nothing was changed, try again",
    Trouble.FULL: "The database's disk is full; nothing was stored, try again later",
}
_NO_ANSWER = "The database does not answer; nothing was stored, try again"


class _Complaint:
    """One line for all requests of a while that meet a database in trouble: a whole fleet may ask."""

    EVERY = 60.0
    """Seconds, while the trouble is the same."""

    def __init__(self) -> None:
        self._trouble: Trouble | None = None
        self._next = 0.0
        self._requests = 0

    def log(self, trouble: Trouble, path: str, error: Exception) -> None:
        self._requests += 1
        if trouble is self._trouble and time.monotonic() < self._next:
            return
        log.warning(trouble.value, path=path, requests=self._requests, error=first_line(error)[:200])
        self._trouble, self._next, self._requests = trouble, time.monotonic() + self.EVERY, 0


_complaint = _Complaint()


class Refusal(HTTPException):
    """Answers `status` with one line of `detail` that names the remedy, and a machine-readable `reason`."""

    def __init__(self, status: int, detail: str, reason: str | None = None, *, retry_after: int | None = None) -> None:
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        if status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        super().__init__(status, detail, headers)
        self.reason = reason


def too_many(seconds: float) -> Refusal:
    """503: more streams begin than the process can take at once; there is room after so many seconds."""
    detail = "Many devices connect at this moment; come back when Retry-After has passed"
    return Refusal(503, detail, "busy", retry_after=max(1, round(seconds)))


def ending() -> Refusal:
    """503: this process is about to end."""
    return Refusal(503, "The cloud restarts; come back", "ending", retry_after=random.randint(1, 5))


def another_cloud() -> Refusal:
    """412: the outcome is meant for another cloud; the device will hear of ours when its stream is back."""
    return Refusal(412, "This is another cloud than the one that sent the trigger", "another_cloud")


def unknown_device(device_id: str) -> Refusal:
    """404 for an id that nobody created."""
    return Refusal(
        404,
        f"Device {device_id[:100]!r} is unknown: create it first (visant-cloud create-device); where AUTH=open, it is "
        "known once it has connected",
        "unknown_device",
    )


def device_gone() -> Refusal:
    """403: what a deleted device brings."""
    return Refusal(403, "This device was deleted here: enrol it again to use it", "device_deleted")


def problem(status: int, detail: str, reason: str | None = None, headers: Any = None) -> Response:
    """The problem document as a response."""
    REFUSALS.labels(reason or f"status_{status}").inc()
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, reason=reason)
    return JSONResponse(body.model_dump(exclude_none=True), status, headers, media_type=PROBLEM_JSON)


def busy(detail: str) -> Response:
    """503, after which the connection ends: somebody else needs it."""
    headers = {"Connection": "close", "Retry-After": str(random.randint(*_BUSY_RETRY))}
    return problem(503, detail, "busy", headers)


def install(app: FastAPI) -> None:
    """Every error of the application takes this form."""

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        return problem(422, validation_line(error.errors()), "invalid")

    async def known(request: Request, error: Exception) -> Response:
        found = answer(error, request.url.path)
        if found is None:
            raise error
        return found

    for kind in (HTTPException, StorageAway, DeviceGone, ConnectionError, exc.SQLAlchemyError):
        app.add_exception_handler(kind, known)

    @app.exception_handler(ClientDisconnect)
    async def nobody_there(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=408)  # the peer went, or was given up, in the middle of its body

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        return broken()


def broken() -> Response:
    """What is answered where the fault is ours."""
    return problem(500, "The cloud has a fault; its log says more", "internal")


def answer(error: Exception, path: str) -> Response | None:
    """What a refusal, or a database or storage that is away, is answered with; None for any other error."""
    if isinstance(error, HTTPException):
        _log_refusal(error.status_code, getattr(error, "reason", None))
        return problem(error.status_code, str(error.detail), getattr(error, "reason", None), error.headers)
    refusal = device_gone() if isinstance(error, DeviceGone) else database_away(error, path)
    if refusal is not None:
        _log_refusal(refusal.status_code, refusal.reason)
        return problem(refusal.status_code, str(refusal.detail), refusal.reason, refusal.headers)
    if isinstance(error, StorageAway):  # which has written its line
        _log_refusal(503, "storage")
        headers = {"Retry-After": str(random.randint(*_STORAGE_RETRY))}
        return problem(503, "The picture storage does not answer; try again", "storage", headers)
    return None


def database_away(error: Exception, path: str) -> Refusal | None:
    """503 for an error that is the database's trouble, with its line in the log; None for any other error."""
    trouble = troubles.of(error)
    if trouble is None:
        return None
    _complaint.log(trouble, path, error)
    seconds = random.randint(*(_LONGER if trouble in _DETAILS else _DATABASE_RETRY))
    return Refusal(503, _DETAILS.get(trouble, _NO_ANSWER), "database", retry_after=seconds)


def _log_refusal(status: int, reason: str | None) -> None:
    """Of what a device that is known asks about one trigger; strangers are only counted."""
    if structlog.contextvars.get_contextvars().get("trigger_id") is not None:
        log.info("refused", status=status, reason=reason)


def validation_line(errors: Any) -> str:
    """Pydantic's findings in one line: `interval_seconds: Input should be greater than 0`."""
    parts = []
    for found in list(errors)[:3]:
        where = ".".join(str(part) for part in found["loc"] if part not in ("body", "query", "path"))
        parts.append(f"{where}: {found['msg']}" if where else str(found["msg"]))
    return "; ".join(parts)[:500].encode(errors="replace").decode()  # a key may be half a surrogate pair
