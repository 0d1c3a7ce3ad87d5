"""The pages for people: the fleet, one device, sign-in. Each updates itself by fetching its own changing part."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.templating import Jinja2Templates

from visant_cloud.access import authenticate, callers, credentials, invitations, sign_in
from visant_cloud.access.callers import COOKIE, Anyone, Caller, Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.compression import compress
from visant_cloud.context import Cloud, cloud_of
from visant_cloud.problems import Refusal, unknown_device
from visant_cloud.static_files import STATIC
from visant_cloud.store import (
    alert_rules,
    alerts,
    captures,
    counters,
    device_states,
    devices,
    people,
    quality,
    schedule_targets,
    schedules,
    shared_schedules,
    slot_days,
    trigger_history,
)
from visant_cloud.store import fleet as fleet_rows
from visant_cloud.store.counters import Figures
from visant_cloud.store.device_states import NEVER_SEEN
from visant_cloud.store.fleet import Wish
from visant_cloud.views import as_json, pages, schedules_json


class PageRoute(GuardedRoute):
    """A page says a refusal as a page: who has not signed in is led to the form. What scripts ask for is refused as the
    API does.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The guarded one, and its refusals."""
        handle = super().get_route_handler()
        if self.methods != {"GET"} or self.path.startswith("/parts/") or self.path.endswith(".json"):
            return handle

        async def page(request: Request) -> Response:
            try:
                return await handle(request)
            except Refusal as refusal:
                if refusal.status_code == 401 and refusal.reason == "no_credentials":
                    return _to_sign_in(request)
                caller = request.scope.get(callers.CALLER)
                return _page(request, "refused.html", caller, refusal.status_code, detail=refusal.detail)

        return page


router = APIRouter(route_class=PageRoute, include_in_schema=False)
_templates = Jinja2Templates(directory=Path(__file__).parent.parent / "templates")
_templates.env.trim_blocks = _templates.env.lstrip_blocks = True
pages.install(_templates.env)
_templates.env.globals["asset"] = STATIC.address

_HISTORY = 50
_FLEET_HISTORY = 20
_GALLERY = 12


def _page(request: Request, template: str, caller: Caller | None, status: int = 200, **values: Any) -> Response:
    response = _rendered(request, template, caller, status, **values)
    compress(request.headers, response)
    return response


def _rendered(request: Request, template: str, caller: Caller | None, status: int = 200, **values: Any) -> Response:
    cloud = cloud_of(request)
    shown = {"caller": caller, "open": cloud.settings.auth == "open", "warning": cloud.warning, "now": cloud.now()}
    response = _templates.TemplateResponse(request, template, {**shown, **values}, status_code=status)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def _to_sign_in(request: Request) -> Response:
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?{urlencode({'next': target})}", 303)


def _part(request: Request, template: str, caller: Caller, **values: Any) -> Response:
    """A changing part: 304 while it is as the browser has it."""
    response = _rendered(request, template, caller, **values)
    tag = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = "private, no-cache"
    compress(request.headers, response)
    return response


def _wished(
    page: Annotated[int, Query(ge=1, le=10**6)] = 1,
    words: Annotated[str, Query(max_length=200)] = "",
    kind: Annotated[str, Query(max_length=20)] = "",
) -> Wish:
    return Wish(page, words, kind)


Wished = Annotated[Wish, Depends(_wished)]


async def _fleet(cloud: Cloud, caller: Caller, wish: Wish) -> dict[str, Any]:
    scope, mine = caller.scope, caller.scope.organisation_id
    day, streams = counters.yesterday(cloud.now()), cloud.hub.connected()
    async with cloud.database.reading() as connection:
        sums, shown = await fleet_rows.page(connection, scope, day, streams, wish)
        if not shown and wish.page > 1:  # fewer than there were
            wish = replace(wish, page=1)
            sums, shown = await fleet_rows.page(connection, scope, day, streams, wish)
        rows = await devices.of_keys(connection, shown)
        last = await device_states.of_devices(connection, shown)
        scheduled = await schedules.of_devices(connection, shown)
        waiting = await trigger_history.under_way(connection, scope)
        made = await trigger_history.page(connection, scope, None, before=None, limit=_FLEET_HISTORY)
        pictures = await captures.of_triggers_anywhere(connection, [(one.device_key, one.trigger_id) for one in made])
        rules, is_open = await alert_rules.find(connection, mine), await alerts.open_since(connection, mine)
        said = await quality.verdicts(connection, mine)
        slots = await slot_days.rate(connection, scope, day)
        needs = pages.needs(*await alerts.open_first(connection, scope, pages.NEEDS))

    def view_of(key: str, figures: Figures) -> pages.DeviceView:
        row, known, there, schedule = rows[key], last.get(key, NEVER_SEEN), streams.get(key, 0), scheduled.get(key)
        health = as_json.health(row, known, there, schedule, cloud.now(), is_open.get(key), rules, said.get(key))
        return pages.DeviceView(row, known, there, figures, schedule=schedule, causes=health.causes)

    views = [view_of(key, figures) for key, figures in shown.items()]
    view = pages.FleetView(wish, sums, views)
    return {
        "fleet": view,
        "slots": slots,
        "needs": needs,
        "waiting": sum(waiting.values()),
        "history": [pages.line(one, pictures.get((one.device_key, one.trigger_id))) for one in made],
    }


@router.get("/", response_class=HTMLResponse)
async def fleet(request: Request, caller: Viewer, wish: Wished) -> Response:
    """The devices, trouble first."""
    values = await _fleet(cloud_of(request), caller, wish)
    return await asyncio.to_thread(_page, request, "fleet.html", caller, **values)


@router.get("/parts/fleet", response_class=HTMLResponse)
async def fleet_part(request: Request, caller: Viewer, wish: Wished) -> Response:
    """The changing part of `/`."""
    values = await _fleet(cloud_of(request), caller, wish)
    return await asyncio.to_thread(_part, request, "_fleet.html", caller, **values)


async def _device(cloud: Cloud, caller: Caller, device_id: str, before: int | None) -> dict[str, Any]:
    scope, key, mine = caller.scope, caller.key(device_id), caller.scope.organisation_id
    async with cloud.database.reading() as connection:
        row = await devices.find(connection, key)
        if row is None:
            raise unknown_device(device_id)
        rows = await trigger_history.page(connection, scope, key, before=before, limit=_HISTORY)
        pictures = await captures.of_triggers(connection, key, [one.trigger_id for one in rows])
        gallery = await captures.page(connection, scope, device_key=key, limit=_GALLERY)
        last = await device_states.find(connection, key)
        figures = await counters.since(connection, key, counters.yesterday(cloud.now()))
        waiting = await trigger_history.under_way(connection, scope, key)
        scheduled = await schedules.find(connection, key)
        rules, is_open = await alert_rules.find(connection, mine), await alerts.open_since(connection, mine, [key])
        said = await quality.verdicts(connection, mine, [key])
        slots = await slot_days.rate(connection, scope, counters.yesterday(cloud.now()), key)
        shared = await schedule_targets.of_device(connection, key)
        waiting_slots = await shared_schedules.waiting_of(connection, key)
        needs = pages.needs(*await alerts.open_first(connection, scope, pages.NEEDS, key))
    subscribers, open_ones = cloud.hub.subscribers(key), sum(waiting.values())
    health = as_json.health(row, last, subscribers, scheduled, cloud.now(), is_open.get(key), rules, said.get(key))
    return {
        "device": pages.DeviceView(row, last, subscribers, figures, open_ones, scheduled, health.causes),
        "needs": needs,
        "history": [pages.line(one, pictures.get(one.trigger_id)) for one in rows],
        "slots": slots,
        "older": rows[-1].seq if len(rows) == _HISTORY else None,
        "before": before,
        "gallery": gallery,
        "shared": [schedules_json.applied(one, key, waiting_slots) for one in shared],
    }


@router.get("/devices/{device_id}", response_class=HTMLResponse)
async def device(
    request: Request, caller: Viewer, device_id: str, before: Annotated[int | None, Query(ge=1, lt=2**63)] = None
) -> Response:
    """One device: its pictures, its health, its ledger."""
    values = await _device(cloud_of(request), caller, device_id, before)
    return await asyncio.to_thread(_page, request, "device.html", caller, **values)


@router.get("/parts/devices/{device_id}", response_class=HTMLResponse)
async def device_part(
    request: Request, caller: Viewer, device_id: str, before: Annotated[int | None, Query(ge=1, lt=2**63)] = None
) -> Response:
    """The changing part of a device's page."""
    values = await _device(cloud_of(request), caller, device_id, before)
    return await asyncio.to_thread(_part, request, "_device.html", caller, **values)


@router.get("/sign-in", response_class=HTMLResponse)
async def sign_in_form(request: Request, next: str = "/") -> Response:
    """The form."""
    if await callers.find_caller(request) is not None:
        return RedirectResponse(sign_in.safe_target(next), 303)
    async with cloud_of(request).database.reading() as connection:
        anybody = await people.any_operator(connection)
    return _page(request, "sign_in.html", None, next=sign_in.safe_target(next), anybody=anybody)


@router.post("/sign-in", response_class=HTMLResponse, dependencies=[Depends(authenticate.stranger)])
async def signing_in(
    request: Request,
    name: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """A session, or the form again with what was wrong."""
    callers.same_origin(request)
    cloud = cloud_of(request)
    target = sign_in.safe_target(next)
    try:
        token = await sign_in.sign_in(cloud, name, password, authenticate.address_of(request), _agent(request))
    except Refusal as refusal:
        response = _page(
            request,
            "sign_in.html",
            None,
            refusal.status_code,
            next=target,
            anybody=True,
            wrong=refusal.detail,
            name=name,
        )
        response.headers.update({k: v for k, v in (refusal.headers or {}).items() if k == "Retry-After"})
        return response
    answer = RedirectResponse(target, 303)
    answer.set_cookie(
        COOKIE,
        token,
        max_age=int(cloud.settings.session_hours * 3600),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


@router.get("/invite", response_class=HTMLResponse)
async def invited(request: Request, code: Annotated[str, Query(max_length=200)] = "") -> Response:
    """The form in which who was invited chooses a password."""
    try:
        name = await invitations.look(cloud_of(request), code)
    except Refusal as refusal:
        return _page(request, "refused.html", None, refusal.status_code, detail=refusal.detail)
    return _invite_page(request, name, code)


@router.post("/invite", response_class=HTMLResponse, dependencies=[Depends(authenticate.stranger)])
async def accepting(
    request: Request,
    code: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
    again: Annotated[str, Form(max_length=1000)],
) -> Response:
    """A new person, who signs in next; or the form again with what was wrong."""
    callers.same_origin(request)
    try:
        name = await invitations.look(cloud_of(request), code)
        wrong = credentials.unfit(password, again)
        if wrong is not None:
            return _invite_page(request, name, code, 422, wrong)
        await invitations.accept(cloud_of(request), code, password, authenticate.address_of(request))
    except Refusal as refusal:
        return _page(request, "refused.html", None, refusal.status_code, detail=refusal.detail)
    return RedirectResponse("/sign-in", 303)


def _invite_page(request: Request, name: str, code: str, status: int = 200, wrong: str | None = None) -> Response:
    return _page(request, "invite.html", None, status, name=name, code=code, wrong=wrong)


def _agent(request: Request) -> str | None:
    return request.headers.get("user-agent")


@router.post("/sign-out")
async def signing_out(request: Request, caller: Anyone) -> Response:
    """Ends the session."""
    cookie = request.cookies.get(COOKIE)
    if caller.way == "session" and cookie is not None:
        await sign_in.sign_out(cloud_of(request), cookie)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/docs", response_class=HTMLResponse)
async def documentation(request: Request, caller: Anyone) -> Response:
    """The API, read from its OpenAPI description; needs nothing from elsewhere, so it works on a closed network."""
    description = request.app.openapi()
    return _page(request, "docs.html", caller, description=description, groups=pages.operations(description))


@router.get("/openapi.json")
async def described(request: Request, caller: Anyone) -> JSONResponse:
    """The same for programs."""
    return JSONResponse(request.app.openapi())
