"""A setting that can be wrong says what would be right, and a setting that can be set is read."""

import re
from pathlib import Path

import pytest

from visant_camera.settings import CameraSettings
from visant_cloud.settings import CloudSettings
from visant_connector.settings import ConnectorSettings
from visant_runtime.settings import Settings
from visant_uploader.settings import UploaderSettings

ROOT = Path(__file__).resolve().parents[2]
PACKAGES: dict[type[Settings], str] = {
    CameraSettings: "services/camera",
    ConnectorSettings: "services/connector",
    UploaderSettings: "services/uploader",
    CloudSettings: "cloud",
}
NOTHING_LISTENS = {"services/connector", "services/uploader"}
"""They take HTTP_HOST and HTTP_PORT, which old files of settings may name, and do nothing with them."""


@pytest.mark.parametrize("kind", PACKAGES)
def test_each_setting_that_can_be_wrong_has_a_remedy(kind: type[Settings]) -> None:
    """Its description, which the line shows that a wrong value ends the start with."""
    own = {name: field for name, field in kind.model_fields.items() if name not in Settings.model_fields}
    can_be_wrong = {name for name, field in own.items() if field.annotation is not str or field.metadata}
    assert {name for name in can_be_wrong if not own[name].description} == set()


@pytest.mark.parametrize("kind", PACKAGES)
def test_each_setting_is_read_by_its_program(kind: type[Settings]) -> None:
    folders = (ROOT / PACKAGES[kind] / "src", ROOT / "runtime/src")
    code = "".join(path.read_text() for folder in folders for path in folder.rglob("*.py"))
    read = {dotted or quoted for dotted, quoted in re.findall(r"\.(\w+)|\"(\w+)\"", code)}
    ignored = {"http_host", "http_port"} if PACKAGES[kind] in NOTHING_LISTENS else set()
    assert set(kind.model_fields) - read - ignored == set()
