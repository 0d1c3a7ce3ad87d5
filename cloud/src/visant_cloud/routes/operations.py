"""For whoever runs the cloud: is it alive, is it ready, and what does it count."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from visant_cloud.access.callers import Viewer
from visant_cloud.access.guarded import GuardedRoute
from visant_cloud.alerts.kinds import ALERTING
from visant_cloud.context import Cloud, cloud_of
from visant_cloud.metrics import Gathered
from visant_cloud.problems import Refusal
from visant_cloud.store import alerts, counters, device_counts, trigger_history
from visant_cloud.store.keys import DEFAULT_ORGANISATION
from visant_cloud.store.scope import Scope

router = APIRouter(route_class=GuardedRoute, tags=["operations"])
_RETRY = 5


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """200 while the process is alive, whatever it waits for: a restart would help nobody."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> dict[str, str]:
    """200 while the process can do its work, 503 otherwise: the database answers and has the schema, the picture
    storage answers, the loops make progress. The log says what is missing.
    """
    if await cloud_of(request).readiness.why_not() is not None:
        raise Refusal(503, "Not ready; the log says why", "not_ready", retry_after=_RETRY)
    return {"status": "ready"}


@router.get("/metrics", tags=["operator"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request, caller: Viewer) -> Response:
    """Prometheus text format; needs an API token like other endpoints.

    Devices and triggers are those of the caller's organisation. What the processes count is told to callers of
    `default`, who run the cloud.
    """
    cloud = cloud_of(request)
    text = generate_latest(await _of_organisation(cloud, caller.organisation_id))
    if caller.organisation_id == DEFAULT_ORGANISATION:
        everyone = cloud.exchange.all_workers(cloud.counted())
        text += generate_latest(Gathered(everyone))
    return Response(text, media_type=CONTENT_TYPE_LATEST)


async def _of_organisation(cloud: Cloud, organisation_id: str) -> CollectorRegistry:
    async with cloud.database.reading() as connection:
        states = await device_counts.find(connection, organisation_id, cloud.now())
        totals = await counters.totals(connection, organisation_id)
        waiting = await trigger_history.under_way(connection, Scope(organisation_id))
        is_open = await alerts.open_by_kind(connection, organisation_id)
    registry = CollectorRegistry()
    if states is not None:
        by_state = Gauge("visant_devices", "Devices by state of their health", ["state"], registry=registry)
        for name, count in states.items():
            by_state.labels(name).set(count)
    by_kind = Gauge("visant_alerts", "Open alerts by kind", ["kind"], registry=registry)
    for kind in ALERTING:
        by_kind.labels(kind).set(is_open.get(kind, 0))
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
    return registry
