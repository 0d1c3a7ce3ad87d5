"""What `/metrics` says of the camera, read from its health at each scrape."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from visant_camera.health import Health


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
