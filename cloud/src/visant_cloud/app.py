"""The web application: routes and the form of errors, around one Cloud."""

from collections.abc import Coroutine
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from visant_cloud import openapi, problems
from visant_cloud.access.body_limits import BodyLimit
from visant_cloud.context import Cloud
from visant_cloud.metrics import CountRequests
from visant_cloud.routes import (
    alerts,
    audit,
    captures,
    channels,
    device_deletion,
    device_list,
    devices,
    enrol_batches,
    enrolment,
    events,
    gallery,
    groups,
    jobs,
    ledger,
    me,
    operations,
    pages,
    people,
    quality,
    schedules,
    stream,
    telemetry,
    tokens,
    triggers,
)
from visant_cloud.static_files import STATIC
from visant_runtime.version import release_version

_TAGS = [
    {"name": "device", "description": "What a device calls, with its device token"},
    {"name": "operator", "description": "What people and programs call, with a session or an API token"},
    {"name": "operations", "description": "Health and metrics"},
]
_ROUTES = (
    stream,
    events,
    triggers,
    ledger,
    gallery,
    captures,
    quality,
    device_list,
    devices,
    schedules,
    device_deletion,
    telemetry,
    groups,
    jobs,
    alerts,
    channels,
    people,
    me,
    tokens,
    audit,
    enrolment,
    enrol_batches,
    operations,
    pages,
)
_ENDLESS = ("/commands", "/v1/events")
"""How the paths of streams end."""


class HeadAsGet:
    """ASGI middleware: HEAD is answered as GET (RFC 9110, 9.3.2), whose body the server leaves out.

    `curl -I`, `wget --spider` and most monitors ask so, and FastAPI's routes know only what they name. A device's
    stream has no end that a HEAD could wait for, and opening it says that the device is there: 405, as before, and the
    same of the stream of events.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and scope["method"] == "HEAD" and not scope["path"].endswith(_ENDLESS):
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


class CloudApp(FastAPI):
    """FastAPI for everything but the devices' streams, which are answered before its stacks."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """ASGI. No coroutine of its own: there would be one more for each open stream."""
        # a request that came while the one before was answered begins in that one's context
        structlog.contextvars.unbind_contextvars("device", "trigger_id")
        if not stream.is_stream(scope):
            return super().__call__(scope, receive, send)
        scope["app"] = self
        return stream.serve(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """What `/openapi.json` and `/docs` show."""
        if self.openapi_schema is None:
            self.openapi_schema = openapi.complete(super().openapi())
        return self.openapi_schema


async def _wrong_method(request: Request, error: Exception) -> Response:
    """405 that names every method of the path (RFC 9110, 10.2.1); the framework names those of one route."""
    scope = request.scope
    known = (route for routes in _ROUTES for route in routes.router.routes if isinstance(route, Route))
    allowed = {method for route in known if route.matches(scope)[0] is not Match.NONE for method in route.methods or ()}
    if not allowed:  # a file
        allowed = {"GET"}
    if "GET" in allowed and not scope["path"].endswith(_ENDLESS):
        allowed.add("HEAD")
    return problems.problem(405, "Method Not Allowed", headers={"Allow": ", ".join(sorted(allowed))})


def create_app(cloud: Cloud) -> CloudApp:
    """The application that serves `cloud`."""
    app = CloudApp(
        title="Visant Edge cloud",
        version=release_version("visant-cloud"),
        openapi_tags=_TAGS,
        docs_url=None,  # ours (routes/pages.py) needs no script from elsewhere, and a sign-in
        redoc_url=None,
        openapi_url=None,
        separate_input_output_schemas=False,
    )
    app.state.cloud = cloud
    problems.install(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(CountRequests)
    app.add_middleware(HeadAsGet)
    app.add_exception_handler(405, _wrong_method)
    for routes in _ROUTES:
        app.include_router(routes.router)
    app.mount("/static", STATIC, name="static")
    return app
