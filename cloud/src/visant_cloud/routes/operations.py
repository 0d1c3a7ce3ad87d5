"""For whoever runs the cloud: is it alive, and what does it count."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from visant_cloud.access.authenticate import Operator
from visant_cloud.context import cloud_of
from visant_cloud.problems import Refusal
from visant_cloud.store import counters, fleet, trigger_history
from visant_cloud.store.database import DATABASE_ERRORS
from visant_cloud.views import as_json

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def healthz(request: Request) -> dict[str, str]:
    """200 while the database answers, 503 otherwise."""
    try:
        async with cloud_of(request).database.reading() as connection:
            await connection.execute(text("SELECT 1"))
    except DATABASE_ERRORS:
        raise Refusal(503, "The database does not answer", "database", retry_after=5) from None
    return {"status": "ok"}


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, caller: Operator) -> Response:
    """Prometheus text format; needs an API token like other endpoints."""
    cloud = cloud_of(request)
    async with cloud.database.reading() as connection:
        states = await fleet.states(connection, caller.organisation_id, cloud.hub.connected())
        totals = await counters.totals(connection, caller.organisation_id)
        waiting = await trigger_history.under_way(connection, caller.organisation_id)
    registry = CollectorRegistry()
    by_state = Gauge("visant_devices", "Devices by state", ["state"], registry=registry)
    for name in as_json.STATES:
        by_state.labels(name).set(states.get(name, 0))
    streams = Gauge("visant_streams", "Open command streams of this process", registry=registry)
    streams.set(sum(cloud.hub.connected_here().values()))
    ended = Gauge(
        "visant_triggers",
        "Capture triggers in the ledger by status and reason",
        ["status", "reason"],
        registry=registry,
    )
    totals |= {(status, ""): count for status, count in waiting.items()}
    for (status, reason), count in totals.items():
        ended.labels(status, reason).set(count)
    left = cloud.pictures.free_bytes()
    if left is not None:
        free = Gauge("visant_pictures_free_bytes", "Free bytes of the pictures' file system", registry=registry)
        free.set(left)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
