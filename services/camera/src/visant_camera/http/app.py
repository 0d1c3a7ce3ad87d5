"""The HTTP interface: which path leads where."""

from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from visant_camera.drivers.fake.faults import Fault, Faults
from visant_camera.health import Condition
from visant_camera.http.metrics import ConditionMetrics
from visant_camera.http.problems import http_problem, problem, small_body
from visant_camera.http.snapshot import SnapshotEndpoint
from visant_camera.snapshots import Snapshots


def make_app(snapshots: Snapshots, condition: Condition, routes: Iterable[Route] = ()) -> ASGIApp:
    """`/snapshot`, `/state`, `/metrics`, and `routes`.

    `GET /snapshot` passes the framework by: its layers were a third of what the answer cost (docs/camera-bench.md).
    """
    snapshot = SnapshotEndpoint(snapshots)
    ours = CollectorRegistry()
    ours.register(ConditionMetrics(condition))

    async def state(request: Request) -> Response:
        return _json(condition.state().model_dump_json())

    async def metrics(request: Request) -> Response:
        return Response(
            generate_latest(REGISTRY) + generate_latest(ours), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    framework = Starlette(
        routes=[
            Route("/snapshot", snapshot, methods=["GET"]),
            Route("/state", state),
            Route("/metrics", metrics),
            *routes,
        ],
        exception_handlers={HTTPException: http_problem},
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        straight = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == "/snapshot"
        await (snapshot if straight else framework)(scope, receive, send)

    return app


def fault_routes(faults: Faults) -> list[Route]:
    """`GET` and `POST /fake/faults`; wired only where CAMERA_SOURCE=fake."""

    async def show(request: Request) -> Response:
        return _json(faults.now().model_dump_json())

    async def change(request: Request) -> Response:
        try:
            fault = Fault.model_validate_json(await small_body(request))
        except ValidationError as error:
            first = error.errors()[0]
            return problem(422, f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}")
        faults.set(fault)
        return _json(faults.now().model_dump_json())

    return [Route("/fake/faults", show), Route("/fake/faults", change, methods=["POST"])]


def _json(text: str) -> Response:
    return Response(text, headers={"Cache-Control": "no-store"}, media_type="application/json")
