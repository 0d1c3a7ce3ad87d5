"""An address that only the HTTP client refuses."""

import pytest

from visant_connector.cloud_stream import CloudStream
from visant_connector.settings import ConnectorSettings
from visant_runtime.clock import Clock
from visant_runtime.settings import SettingsError


@pytest.mark.parametrize("url", ["https://☃.example", "https://1.2.3.999"])
def test_it_is_named_and_no_traceback(url: str) -> None:
    settings = ConnectorSettings(device_id="FLOOR1", api_url=url)
    with pytest.raises(SettingsError, match=r"^API_URL=.* cannot be used"):
        CloudStream(settings, Clock(), lambda why: None)
