"""Every route says who may call it, and what people change through it is recorded: by construction."""

from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute

from visant_cloud import app
from visant_cloud.access import audit, callers, roles
from visant_cloud.access.guarded import GUARDS, GuardedRoute

PUBLIC = {
    *("GET /healthz", "GET /readyz", "GET /sign-in", "GET /invite"),
    "GET /v1/devices/{device_id}/commands",  # answered before FastAPI, by routes/stream.py
}
"""What anybody may read. Each is one line of SECURITY.md."""
OF_EVERYBODY = {"POST /sign-out", "PUT /v1/me/password", "DELETE /v1/sessions/{session_id}"}
"""What whoever is signed in may change: something of the own."""
SAFE = {"GET", "HEAD", "OPTIONS"}


def all_routes() -> Iterator[tuple[str, APIRoute]]:
    for module in app._ROUTES:
        for route in module.router.routes:
            assert isinstance(route, APIRoute), f"{route} in {module.__name__}: what it asks is not known"
            for method in route.methods or ():
                yield f"{method} {route.path}", route


ROUTES = dict(all_routes())
ASKS_BY_POST = {"POST /v1/captures/archive", "POST /v1/schedules/preview"}
"""What they ask for is too long for an address; they change nothing."""


@pytest.mark.parametrize("name", ROUTES)
def test_every_route_says_who_may_call_it(name: str) -> None:
    route = ROUTES[name]
    guards = [one.call for one in route.dependant.dependencies if one.call in GUARDS]
    assert len(guards) == (0 if name in PUBLIC else 1), f"{name}: one of access/guarded.py's GUARDS"
    if guards:
        assert isinstance(route, GuardedRoute), f"{name}: its guard is asked after its body is read"


@pytest.mark.parametrize("name", [name for name in ROUTES if name.partition(" ")[0] not in SAFE])
def test_no_route_that_changes_something_is_for_those_who_only_look(name: str) -> None:
    needs = {one.call for one in ROUTES[name].dependant.dependencies}
    assert callers.viewer not in needs or name in ASKS_BY_POST, name
    assert callers.anyone not in needs or name in OF_EVERYBODY, name


def test_every_route_that_shows_or_exports_pictures_and_records_is_recorded_itself() -> None:
    marked = {name for name, route in ROUTES.items() if audit.looked_at in _needs(route)}
    files = {
        name
        for name, route in ROUTES.items()
        if name.startswith("GET /v1/") and not _is_json(route) and name not in PUBLIC
    }
    assert files and files <= marked, files - marked


def _needs(route: APIRoute) -> set[object]:
    return {one.call for one in route.dependant.dependencies}


def _is_json(route: APIRoute) -> bool:
    media = route.responses.get(200, {}).get("content", {})
    return not media or bool({"application/json", "text/event-stream"} & media.keys())  # events show no picture


def test_no_role_may_less_than_one_that_it_is_above() -> None:
    may = (roles.READ, roles.OPERATE, roles.ADMINISTER, roles.INSTALL, roles.KNOWN)
    for asked in may:
        assert "admin" in asked and asked <= roles.KNOWN == set(roles.ROLES)
    assert roles.ADMINISTER < roles.OPERATE < roles.READ
    assert "technician" not in roles.READ | roles.OPERATE
    assert roles.in_words(roles.OPERATE) == "operator or admin"
