"""The pure parts, and the unit tests that must notice when one of them is changed."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SOURCES = {
    "visant_contract": "contract/src",
    "visant_runtime": "runtime/src",
    "visant_camera": "services/camera/src",
    "visant_connector": "services/connector/src",
    "visant_uploader": "services/uploader/src",
    "visant_cloud": "cloud/src",
    "visantctl": "deployment",
}


@dataclass(frozen=True)
class Target:
    """One module."""

    module: str
    tests: tuple[str, ...]
    """Test files below tests/unit/."""

    @property
    def path(self) -> Path:
        """Its source file."""
        return ROOT / _SOURCES[self.module.partition(".")[0]] / (self.module.replace(".", "/") + ".py")

    @property
    def test_paths(self) -> list[str]:
        """For pytest."""
        return [str(ROOT / "tests/unit" / name) for name in self.tests]


TARGETS = (
    Target("visant_uploader.delivery.retry_policy", ("uploader/test_retry_policy.py",)),
    Target("visant_uploader.delivery.refusals", ("uploader/test_refusals.py",)),
    Target("visant_uploader.delivery.queue", ("uploader/test_delivery_queue.py",)),
    Target("visant_uploader.delivery.pace", ("uploader/test_delivery_pace.py",)),
    Target("visant_uploader.capture.deadline", ("uploader/test_deadline.py",)),
    Target("visant_uploader.spool.file_format", ("uploader/test_spool_file_format.py",)),
    Target("visant_uploader.change_pace", ("uploader/test_change_pace.py",)),
    Target("visant_uploader.timestamps", ("uploader/test_timestamps.py",)),
    Target("visant_connector.reconnect", ("connector/test_reconnect.py",)),
    Target("visant_connector.session_state", ("connector/test_session_states.py",)),
    Target("visant_connector.cloud_clock", ("connector/test_cloud_clock.py",)),
    Target("visant_connector.command_entries", ("connector/test_command_entries.py",)),
    Target("visant_connector.line_limiter", ("connector/test_line_limiter.py",)),
    Target("visant_cloud.alerts.states", ("cloud/test_alert_states.py",)),
    Target("visant_cloud.alerts.engine", ("cloud/test_alert_engine.py",)),
    Target("visant_cloud.alerts.telling", ("cloud/test_alert_telling.py",)),
    Target("visantctl.updates.decide", ("updates/test_decisions.py",)),
    Target("visantctl.updates.plan", ("updates/test_plan.py",)),
    Target("visantctl.updates.rollout", ("updates/test_decisions.py",)),
    Target("visantctl.version", ("updates/test_decisions.py",)),
    Target("visant_camera.jpeg", ("camera/test_jpeg.py",)),
    Target("visant_contract.jpeg", ("contract/test_jpeg.py",)),
    Target("visant_camera.control_values", ("camera/test_control_values.py",)),
    Target("visant_camera.drivers.opencv.process.stream_clock", ("camera/test_stream_clock.py",)),
    Target("visant_camera.latest_frame", ("camera/test_latest_frame.py",)),
    Target("visant_runtime.backoff", ("runtime/test_backoff.py",)),
    Target("visant_runtime.log_throttle", ("runtime/test_log_throttle.py",)),
)
