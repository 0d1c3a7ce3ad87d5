"""docs/settings.md: each key exists, each default is the code's, and all of the cloud's are there."""

import re
from pathlib import Path

from pydantic import TypeAdapter

from visant_camera.settings import CameraSettings
from visant_cloud.settings import CloudSettings
from visant_connector.settings import ConnectorSettings
from visant_runtime.settings import Settings
from visant_uploader.settings import UploaderSettings

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs/settings.md").read_text()
OF_THE_SYSTEM = {"HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"}
DEVICE: tuple[type[Settings], ...] = (CameraSettings, ConnectorSettings, UploaderSettings)


def tables() -> list[dict[str, str | None]]:
    """One dictionary a table: key to the default as shown, None where it is said in words."""
    found = []
    for table in re.findall(r"\| key \| default \| meaning \|\n\|---\|---\|---\|\n((?:\|.*\n)+)", DOCUMENT):
        rows: dict[str, str | None] = {}
        for keys, defaults in re.findall(r"^\| (.+?) \| (.+?) \|", table, re.MULTILINE):
            names, values = re.findall(r"`(\w+)`", keys), re.findall(r"`([^`]+)`", defaults)
            rows |= {name: values[place] if len(values) == len(names) else None for place, name in enumerate(names)}
        found.append(rows)
    return found


def check(rows: dict[str, str | None], kinds: tuple[type[Settings], ...]) -> None:
    for key, shown in rows.items():
        fields = [kind.model_fields[key.lower()] for kind in kinds if key.lower() in kind.model_fields]
        assert fields or key in OF_THE_SYSTEM, f"{key} is no setting"
        for field in fields:
            by_source = field.default is None  # CAMERA_RESOLUTION: the fake camera has another
            if shown is not None and not by_source:
                assert TypeAdapter(type(field.default)).validate_python(shown) == field.default, key


def test_the_tables_tell_the_settings_of_the_code() -> None:
    device, cloud = tables()
    check(device, DEVICE)
    check(cloud, (CloudSettings,))
    shared = {name.upper() for name in Settings.model_fields}
    assert {name.upper() for name in CloudSettings.model_fields} - shared - set(cloud) == set()
