"""What `GET /metrics` says: the camera's health, read at each scrape, and the answers to `/snapshot`, counted here."""

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from visant_camera.health import Health

ANSWERS = Counter("visant_camera_snapshots", "Answers to /snapshot by outcome", ["outcome"])
"""`picture`, `refused` (a query out of range), or the reason why there was none."""
WAIT = Histogram(
    "visant_camera_snapshot_seconds",
    "From the request to its picture",
    buckets=(0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 1, 2, 5),
)


class HealthMetrics(Collector):
    """Frames, bad frames, opens; whether it works; the measured frame rate."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        """One sample of each."""
        state = self._health.state()
        yield CounterMetricFamily("visant_camera_frames", "Good frames received", value=state.frames)
        yield CounterMetricFamily("visant_camera_bad_frames", "Frames received and not served", value=state.bad_frames)
        yield CounterMetricFamily("visant_camera_opens", "Times the device was opened", value=state.opens)
        yield GaugeMetricFamily("visant_camera_up", "1: pictures can be taken", value=state.state == "ok")
        yield GaugeMetricFamily("visant_camera_idle", "1: frames are drained without a copy", value=state.idle)
        yield GaugeMetricFamily("visant_camera_fps", "Measured frames a second", value=state.fps or 0.0)


def metrics_route(health: Health) -> Route:
    """To be served."""
    ours = CollectorRegistry()
    ours.register(HealthMetrics(health))

    async def metrics(request: Request) -> Response:
        return Response(
            generate_latest(REGISTRY) + generate_latest(ours), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return Route("/metrics", metrics)
