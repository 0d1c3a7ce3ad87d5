"""The HTTP interface: which path leads where."""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from visant_camera.desired_settings import DesiredSettings
from visant_camera.health import Health
from visant_camera.http.metrics import metrics_route
from visant_camera.http.problems import http_problem
from visant_camera.http.snapshot import SnapshotEndpoint
from visant_camera.snapshots import Snapshots


def make_app(snapshots: Snapshots, health: Health, desired: DesiredSettings, routes: Iterable[Route] = ()) -> ASGIApp:
    """`/snapshot`, `/state`, `/metrics`, and `routes`.

    `GET /snapshot` passes the framework by: its layers were a third of what the answer cost (docs/camera-bench.md).
    """
    snapshot = SnapshotEndpoint(snapshots)

    async def state(request: Request) -> Response:
        text = health.state().model_copy(update={"settings": desired.became()}).model_dump_json()
        return Response(text, headers={"Cache-Control": "no-store"}, media_type="application/json")

    framework = Starlette(
        routes=[
            Route("/snapshot", snapshot, methods=["GET"]),
            Route("/state", state),
            metrics_route(health),
            *routes,
        ],
        exception_handlers={HTTPException: http_problem},
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        straight = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == "/snapshot"
        await (snapshot if straight else framework)(scope, receive, send)

    return app
