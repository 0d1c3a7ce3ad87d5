"""The ledger over the fleet: triggers filtered and exported, scheduled slots and what became of them."""

import re
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

import structlog
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, AwareDatetime, BeforeValidator
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.types import Send

from visant_cloud.access import audit
from visant_cloud.access.callers import Caller, Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.context import Cloud, cloud_of
from visant_cloud.database.engine import DATABASE_ERRORS, first_line
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal, unknown_device
from visant_cloud.store import devices, ledger, schedules, slot_days
from visant_cloud.store.chosen_devices import ChosenDevices
from visant_cloud.store.keys import device_id_of
from visant_cloud.store.ledger import Label, Page, Place, Wanted
from visant_cloud.views import as_json, ledger_answers, ledger_export, ledger_json
from visant_contract.capture import TriggerStatus

log = structlog.get_logger()

router = APIRouter(route_class=GuardedRoute)

_PIECE = 250
"""Triggers of an export that are read and written at once: no stream waits for longer, as in store/fleet.py."""
_SPAN = timedelta(days=31)
"""Of slots, at most."""
_MISSED = 1000
"""Runs of missed slots in an answer."""
_CURSOR = r"^[0-9]{1,17}-[0-9]{1,18}$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LATEST = datetime(2999, 1, 1, tzinfo=UTC)


def _stored(moment: datetime) -> datetime:
    if not _EPOCH <= moment <= _LATEST:
        raise ValueError("it must lie between 1970 and 2999")
    return moment


def _written_out(value: object) -> object:
    """What is a number, or a day with a time where a day is meant, is none: pydantic would read it as one."""
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d([T ]\d\d.*)?", value, re.ASCII):
        raise ValueError("write it as 2026-11-22T12:00:00Z")
    return value


def _day(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        raise ValueError("write it as 2026-11-22")
    return value


def _yes_or_no(value: object) -> object:
    if isinstance(value, str) and value not in ("true", "false"):
        raise ValueError("write true or false")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_stored)]
Day = Annotated[date, BeforeValidator(_day)]
Gaps = Annotated[bool, BeforeValidator(_yes_or_no), Query(description="only those without a picture that counts")]
From = Annotated[Moment | None, Query(alias="from", description="made then or later; with its zone: ...Z or +02:00")]
To = Annotated[Moment | None, Query(alias="to", description="made before")]
Cursor = Annotated[str | None, Query(pattern=_CURSOR, description="`next` of the page before")]
Word = Annotated[str, Query(min_length=1, max_length=100)]


async def _of_devices(
    request: Request,
    caller: Viewer,
    device_id: Annotated[list[str] | None, Query(max_length=100, description="of one device or several")] = None,
    site: Word | None = None,
    group: Word | None = None,
    tag: Word | None = None,
) -> ChosenDevices:
    """404 for a device or a group that is not there: a name that is misspelt must not look like a quiet fleet."""
    keys = tuple(dict.fromkeys(caller.key(one) for one in device_id or ()))
    if keys or group is not None:
        async with cloud_of(request).database.reading() as connection:
            known = await devices.of_keys(connection, keys) if keys else {}
            for key in keys:
                if key not in known:
                    raise unknown_device(device_id_of(key))
            if group is not None and not await ledger.has_group(connection, caller.scope.organisation_id, group):
                raise Refusal(404, f"There is no group {group!r}", "unknown_group")
    return ChosenDevices(caller.scope, keys, site, group, tag)


OfDevices = Annotated[ChosenDevices, Depends(_of_devices)]


def _wanted(
    which: OfDevices,
    status: TriggerStatus | None = None,
    reason: Word | None = None,
    type: Word | None = None,
    schedule: Annotated[int | None, Query(ge=1, lt=2**63, description="schedule_id")] = None,
    since: From = None,
    until: To = None,
) -> Wanted:
    _in_order(since, until)
    return Wanted(which, status, reason, type, schedule, since, until)


Filter = Annotated[Wanted, Depends(_wanted)]


@router.get("/v1/triggers", tags=["operator"], responses=refuses(404))
async def listing(
    request: Request,
    caller: Viewer,
    wanted: Filter,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Cursor = None,
) -> ledger_answers.LedgerPage:
    """The ledger of all devices, or of those that fit, the newest first."""
    async with cloud_of(request).database.reading() as connection:
        page = await ledger.page(connection, wanted, _place(cursor), limit)
    return {"triggers": [as_json.trigger(*row) for row in page.rows], "next": _written(page.next)}


@router.get(
    "/v1/triggers/export",
    tags=["operator"],
    response_class=Response,
    responses={
        200: {
            "description": "A stream, the newest first. One that breaks off has no end: what came is not all",
            "content": {kind: {"schema": {"type": "string"}} for kind in ledger_export.MEDIA_TYPES.values()},
        },
        **refuses(404),
    },
    dependencies=[Depends(audit.looked_at)],
)
async def export(
    request: Request, caller: Viewer, wanted: Filter, format: Literal["csv", "ndjson"] = "csv"
) -> Response:
    """The same as a file, whatever its length: CSV for a spreadsheet, or a line of JSON for each trigger."""
    cloud = cloud_of(request)
    first = await _piece(cloud, caller, wanted, None)  # whoever is refused hears so before the stream begins
    name = f"triggers_{cloud.now():%Y%m%dT%H%M%SZ}.{format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return _Export(
        _pieces(cloud, caller, wanted, format, first), media_type=ledger_export.MEDIA_TYPES[format], headers=headers
    )


async def _pieces(
    cloud: Cloud,
    caller: Caller,
    wanted: Wanted,
    format: Literal["csv", "ndjson"],
    first: tuple[Page, dict[str, Label]],
) -> AsyncIterator[bytes]:
    """Each piece is read in a transaction of its own, and only once the one before was taken."""
    write = ledger_export.WRITERS[format]
    page, of = first
    yield write.head + write.rows(page.rows, of)
    while page.next is not None:
        page, of = await _piece(cloud, caller, wanted, page.next)
        yield write.rows(page.rows, of)


async def _piece(cloud: Cloud, caller: Caller, wanted: Wanted, after: Place | None) -> tuple[Page, dict[str, Label]]:
    async with cloud.database.reading() as connection:
        page = await ledger.page(connection, wanted, after, _PIECE)
        return page, await ledger.labels(connection, {row.device_key for row, _ in page.rows})


class _Export(StreamingResponse):
    """A database that leaves in the middle ends the connection before its end, which the reader sees."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except DATABASE_ERRORS as error:
            log.warning("an export breaks off: the database is away", error=first_line(error)[:200])


@router.get("/v1/devices/{device_id}/slots", tags=["operator"])
async def of_device(
    request: Request,
    caller: Viewer,
    device_id: str,
    gaps: Gaps = False,
    since: From = None,
    until: To = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    cursor: Cursor = None,
) -> ledger_answers.SlotPage:
    """What was due of a device and what came, over at most 31 days; the last 24 hours where no time is named."""
    which = ChosenDevices(caller.scope, (caller.key(device_id),))
    async with cloud_of(request).database.reading() as connection:
        if await devices.find(connection, which.keys[0]) is None:
            raise unknown_device(device_id)
        return await _slots(request, connection, caller, which, gaps, (since, until), limit, cursor)


@router.get("/v1/slots", tags=["operator"], responses=refuses(404))
async def slots(
    request: Request,
    caller: Viewer,
    which: OfDevices,
    gaps: Gaps = False,
    since: From = None,
    until: To = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    cursor: Cursor = None,
) -> ledger_answers.SlotPage:
    """The same of all devices, or of those that fit."""
    async with cloud_of(request).database.reading() as connection:
        return await _slots(request, connection, caller, which, gaps, (since, until), limit, cursor)


async def _slots(
    request: Request,
    connection: AsyncConnection,
    caller: Caller,
    which: ChosenDevices,
    gaps: bool,
    span: tuple[datetime | None, datetime | None],
    limit: int,
    cursor: str | None,
) -> ledger_answers.SlotPage:
    since, until = span
    until = until or cloud_of(request).now()
    since = since or until - timedelta(days=1)
    _in_order(since, until)
    if until - since > _SPAN:
        raise Refusal(422, f"from, to: {(until - since).days} days; name at most {_SPAN.days}", "invalid")
    wanted = Wanted(which, since=since, until=until, slots=True, gaps=gaps)
    mine = caller.scope.organisation_id
    page = await ledger.page(connection, wanted, _place(cursor), limit)
    chosen = None if which.everything else which.query()
    runs = [] if cursor else await schedules.missed_between(connection, mine, chosen, since, until, _MISSED)
    return ledger_json.slots(since, until, page.rows, runs, _written(page.next))


@router.get("/v1/slots/summary", tags=["operator"], responses=refuses(404))
async def summary(
    request: Request,
    caller: Viewer,
    which: OfDevices,
    first: Annotated[Day | None, Query(alias="from", description="a day, UTC; default: six days ago")] = None,
    until: Annotated[Day | None, Query(alias="to", description="the day after the last; default: tomorrow")] = None,
    by: Annotated[slot_days.By | None, Query(description="also the worst of these")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
) -> ledger_answers.SlotSummary:
    """The useful-slot rate: of the slots that were due, in percent, those that have a whole, fresh, useful picture by
    their deadline; and why the others have not. A slot counts on the day (UTC) its trigger was made."""
    today = cloud_of(request).now().astimezone(UTC).date()
    until = until or today + timedelta(days=1)
    first = first or max(date(1970, 1, 1), until - timedelta(days=min(7, until.toordinal() - 1)))
    if not first < until:
        raise Refusal(422, f"from={first} to={until}: `to` is the day after the last, so it must be later", "invalid")
    if (until - first).days > slot_days.DAYS:
        detail = f"from, to: {(until - first).days} days; figures are kept for {slot_days.DAYS}"
        raise Refusal(422, detail, "invalid")
    # a device may be in groups that its viewer has nothing to do with
    mine = caller.organisation_id if by == "group" else caller.scope.organisation_id
    async with cloud_of(request).database.reading() as connection:
        chosen = None if which.everything else which.query()
        causes = await slot_days.causes(connection, mine, first, until, chosen)
        shares = []
        if by is not None:
            shares = await slot_days.shares(connection, mine, first, until, chosen, by, limit)
    return ledger_json.summary(first, until, causes, shares, by)


def _in_order(since: datetime | None, until: datetime | None) -> None:
    if since is not None and until is not None and since >= until:
        raise Refusal(
            422, f"from={since.isoformat()} to={until.isoformat()}: `to` must be later than `from`", "invalid"
        )


def _place(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    made, _, seq = cursor.partition("-")
    with suppress(OverflowError, ValueError):
        return Place(_stored(_EPOCH + int(made) * _MICROSECOND), int(seq))
    raise Refusal(422, "cursor: it is none that this cloud wrote: send `next` of the page before", "invalid")


def _written(place: Place | None) -> str | None:
    return None if place is None else f"{(place.created_at - _EPOCH) // _MICROSECOND}-{place.seq}"
