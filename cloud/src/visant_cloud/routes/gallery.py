"""Pictures as people look for them: filters that every route of the gallery shares, one moment, one file of many."""

import re
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from starlette.types import Send

from visant_cloud.access import audit
from visant_cloud.access.body_limits import clean_json
from visant_cloud.access.callers import Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.alerts.rules import only_text
from visant_cloud.captures import archive
from visant_cloud.captures.storage import StorageAway
from visant_cloud.context import Cloud, cloud_of
from visant_cloud.openapi import refuses
from visant_cloud.problems import Refusal
from visant_cloud.quality.judge import State
from visant_cloud.store import gallery
from visant_cloud.store.captures import Capture
from visant_cloud.store.chosen_devices import ChosenDevices
from visant_cloud.store.gallery import BadCursor, Wish
from visant_cloud.store.keys import device_id_of
from visant_cloud.times import time
from visant_cloud.views import as_json, gallery_answers

router = APIRouter(route_class=GuardedRoute, dependencies=[Depends(clean_json)], tags=["operator"])
_MOST = 10_000
"""Pictures in one file: some 4 GB."""
_PAGE = 500
_ZIP = "application/zip"
Moment = Annotated[AwareDatetime, BeforeValidator(only_text)]
"""A time as text: a number would be one as well, of which nobody knows the unit."""


def _wish(
    caller: Viewer,
    device_id: Annotated[list[str] | None, Query(max_length=200)] = None,
    site: Annotated[str | None, Query(max_length=100)] = None,
    group: Annotated[str | None, Query(max_length=100)] = None,
    tag: Annotated[str | None, Query(max_length=50)] = None,
    since: Annotated[Moment | None, Query(alias="from", description="Taken then or later")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="Taken before then")] = None,
    state: Annotated[list[State] | None, Query(max_length=10)] = None,
) -> Wish:
    """Which pictures; what is not named is no bound."""
    keys = tuple(caller.key(one) for one in device_id or ())
    return Wish(
        ChosenDevices(caller.scope, keys, site, group, tag),
        None if since is None else since.astimezone(UTC),
        None if until is None else until.astimezone(UTC),
        tuple(state or ()),
    )


Wished = Annotated[Wish, Depends(_wish)]
Cursor = Annotated[str | None, Query(max_length=60)]


async def found(cloud: Cloud, wish: Wish, cursor: str | None, limit: int) -> list[Capture]:
    """A page of the pictures that are wished for; 422 for a cursor that is none."""
    try:
        async with cloud.database.reading() as connection:
            return await gallery.page(connection, wish, cursor=cursor, limit=limit)
    except BadCursor as error:
        raise Refusal(422, str(error), "invalid") from None


@router.get("/v1/captures/moment", responses=refuses(404))
async def moment(
    request: Request,
    caller: Viewer,
    wish: Wished,
    at: Moment,
    within: Annotated[float, Query(gt=0, le=86400, description="Seconds before and after")] = 300,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    after: Annotated[str | None, Query(description="A device id: those behind it")] = None,
) -> gallery_answers.Moment:
    """The same moment across devices: of each the picture that was taken nearest to `at`, or null."""
    if wish.bounded or wish.states:
        raise Refusal(
            422, "from, to, state: a moment takes none of them; `within` says how far away it may be", "invalid"
        )
    cloud, wanted = cloud_of(request), at.astimezone(UTC)
    async with cloud.database.reading() as connection:
        keys = await gallery.device_keys(connection, wish, after=caller.key(after) if after else "", limit=limit)
        try:
            near = await gallery.moment(connection, keys, wanted, timedelta(seconds=within))
        except OverflowError:
            raise Refusal(422, f"at: {at} is no time that a picture has", "invalid") from None
    return {
        "at": time(wanted),
        "devices": [
            {
                "device_id": device_id_of(key),
                "capture": as_json.capture(near[key]) if key in near else None,
                "seconds": (near[key].captured_at - wanted).total_seconds() if key in near else None,
            }
            for key in keys
        ],
        "next_after": device_id_of(keys[-1]) if len(keys) == limit else None,
    }


class Selection(BaseModel):
    """Body of `POST /v1/captures/archive`: the pictures by their records."""

    model_config = ConfigDict(extra="forbid", strict=True)
    record_ids: Annotated[list[Annotated[str, Field(pattern="^[0-9a-f]{32}$")]], Field(min_length=1, max_length=_MOST)]


@router.get(
    "/v1/captures/archive",
    response_class=StreamingResponse,
    responses={200: {"content": {_ZIP: {}}}, **refuses(404)},
    dependencies=[Depends(audit.looked_at)],
)
async def archive_of_all(
    request: Request,
    caller: Viewer,
    wish: Wished,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 1000,
) -> StreamingResponse:
    """The pictures that a filter finds as one ZIP file, newest taken first; `manifest.json` in it has their hashes."""
    cloud = cloud_of(request)
    first = await found(cloud, wish, cursor, min(limit, _PAGE))
    return _Zip(cloud, _pages(cloud, wish, first, limit))


async def _pages(cloud: Cloud, wish: Wish, rows: list[Capture], limit: int) -> AsyncIterator[Capture]:
    left = limit
    while rows:
        for row in rows:
            yield row
        left -= len(rows)
        asked = min(left, _PAGE)
        full = len(rows) == min(_PAGE, left + len(rows))
        rows = await found(cloud, wish, gallery.cursor_of(rows[-1]), asked) if asked > 0 and full else []


@router.post(
    "/v1/captures/archive",
    response_class=StreamingResponse,
    responses={200: {"content": {_ZIP: {}}}, **refuses(404)},
)
async def archive_of_some(request: Request, caller: Viewer, selection: Selection) -> StreamingResponse:
    """The pictures of these records as one ZIP file, in this order; 404 where a record is unknown."""
    cloud = cloud_of(request)
    async with cloud.database.reading() as connection:
        rows = await gallery.of_records(connection, caller.scope, selection.record_ids)
    known = {row.record_id for row in rows}
    unknown = [one for one in selection.record_ids if one not in known]
    if unknown:
        raise Refusal(
            404, f"record_ids: there is no record {unknown[0]!r}, nor {len(unknown) - 1} more", "unknown_record"
        )

    async def each() -> AsyncIterator[Capture]:
        for row in rows:
            yield row

    return _Zip(cloud, each())


class _Zip(StreamingResponse):
    """A ZIP file of pictures, made while it is sent."""

    def __init__(self, cloud: Cloud, rows: AsyncIterator[Capture]) -> None:
        name = re.sub(r"[^0-9T]", "", cloud.now().isoformat(timespec="seconds")[:19])
        headers = {"Content-Disposition": f'attachment; filename="pictures_{name}Z.zip"', "Cache-Control": "no-store"}
        super().__init__(archive.zipped(rows, cloud.pictures), media_type=_ZIP, headers=headers)

    async def stream_response(self, send: Send) -> None:
        """A storage that leaves in the middle has written its line; the file has no end then, which its reader sees."""
        with suppress(StorageAway):
            await super().stream_response(send)
