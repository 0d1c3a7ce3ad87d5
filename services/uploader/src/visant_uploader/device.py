"""This device's id, version and cloud address, as outcomes and telemetry say them."""

from dataclasses import dataclass

from visant_uploader.spool.layout import Destination


@dataclass(frozen=True)
class Device:
    """This device at the cloud that its settings name."""

    id: str
    version: str
    api_url: str

    def destination(self, cloud_id: str) -> Destination:
        """Whom its outcomes for that cloud are for."""
        return Destination(cloud_id, self.id)
