"""Keeps what is known of the cloud's own certificate current."""

from visant_cloud.alerts import certificate
from visant_cloud.context import Cloud
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

LOOK_EVERY = 3600.0
"""Seconds."""


class CertificateWatch:
    """One per process: keeps `cloud.certificate` current. What cannot be reached stays as it was seen last."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._where = cloud.settings.certificate_where()

    async def run(self, stop: Stop, heartbeat: Heartbeat) -> None:
        """Until the end; at once over where nothing is to be looked at."""
        if self._where is None:
            return
        await every(
            LOOK_EVERY,
            self.look,
            stop,
            heartbeat,
            loop="certificate",
            max_age=2 * LOOK_EVERY,
            survives=(OSError, ValueError),
            complaint="the cloud's certificate cannot be looked at: see CERTIFICATE_AT",
            at_once=True,
        )

    async def look(self) -> None:
        """Once."""
        if self._where is not None:
            self._cloud.certificate = await certificate.look(self._where)
