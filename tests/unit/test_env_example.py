"""The example of the settings names every setting, and its commented values are the defaults of the code."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic_core import PydanticUndefined
from visantctl.host.env_file import known_keys

from visant_camera.settings import CameraSettings
from visant_connector.settings import ConnectorSettings
from visant_contract.env_keys import KNOWN
from visant_runtime.settings import Settings
from visant_uploader.settings import UploaderSettings

TREE = Path(__file__).resolve().parents[2]
SERVICES = (CameraSettings, ConnectorSettings, UploaderSettings)
OF_SEVERAL_PROCESSES = {"HTTP_HOST", "HTTP_PORT"}  # the camera's; no other service listens
NOT_FOR_A_SITE = {"UPDATE_STATUS_FILE", "HOST_FACTS_FILE"}


def example() -> dict[str, tuple[str, bool]]:
    """Key to (value, whether it is commented out)."""
    found = re.findall(r"^(#?)([A-Z][A-Z0-9_]*)=(.*)$", (TREE / ".env.device.example").read_text(), re.MULTILINE)
    return {key: (value, bool(mark)) for mark, key, value in found}


@pytest.mark.parametrize("kind", SERVICES)
def test_every_setting_of_a_service_is_in_the_example(kind: type[Settings]) -> None:
    keys = {name.upper() for name in kind.model_fields} - NOT_FOR_A_SITE
    assert keys - set(example()) == set()


@pytest.mark.parametrize("kind", SERVICES)
def test_a_commented_value_is_the_default(kind: type[Settings]) -> None:
    for key, (shown, commented) in example().items():
        field = kind.model_fields.get(key.lower())
        if field is None or not commented or not shown or key in OF_SEVERAL_PROCESSES:
            continue
        default: Any = field.default
        if default is PydanticUndefined or default is None:
            continue  # the comment gives an example
        assert TypeAdapter(type(default)).validate_python(shown) == default, key


def test_the_services_know_every_key_that_the_doctor_knows() -> None:
    """The file is shared: a service must not take another's setting for a typing error."""
    beside = {"ALL_PROXY", "SSL_CERT_DIR", "REDIS_MIN_FREE_BYTES", "VISANT_KILL_POINT"}
    assert known_keys((TREE / ".env.device.example").read_text()) | beside == KNOWN


def test_only_name_and_address_have_to_be_edited() -> None:
    uncommented = {key: value for key, (value, commented) in example().items() if not commented}
    assert {key for key, value in uncommented.items() if not value} == {"DEVICE_ID", "API_URL", "DEVICE_TOKEN"}


def test_a_key_appears_once() -> None:
    keys = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", (TREE / ".env.device.example").read_text(), re.MULTILINE)
    assert sorted(keys) == sorted(set(keys))
