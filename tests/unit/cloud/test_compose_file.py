"""cloud/compose.yaml as it is written; how it runs is make test-cloud-compose's."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from visant_cloud.settings import CloudSettings

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "cloud/compose.yaml").read_text())["services"])


def test_what_is_pulled_is_pinned_and_what_is_ours_is_never_pulled(services: dict[str, Any]) -> None:
    redis = re.search(r"^FROM (redis:\S+) AS pinned$", (ROOT / "services/redis/Dockerfile").read_text(), re.M)
    assert redis is not None
    assert services["redis"]["image"] == redis[1], "one Redis for devices and clouds"
    for name, found in services.items():
        ours = "build" in found
        assert (found.get("pull_policy") == "never") is ours, name
        assert ours or re.fullmatch(r"[\w-]+:[\w.-]+@sha256:[0-9a-f]{64}", found["image"]), name


def test_every_setting_of_the_cloud_comes_from_env_or_is_decided(services: dict[str, Any]) -> None:
    """A setting that nobody passes on would be heard by nobody."""
    passed = set(services["cloud-1"]["environment"])
    names = {name.upper() for name in CloudSettings.model_fields}
    of_a_bucket = {name for name in names if name.startswith(("AWS_", "STORAGE_"))}
    assert names - passed == of_a_bucket | {"AUTH", "HTTP_HOST", "SMTP_URL_FILE"}
    assert passed <= names


def test_both_workers_are_the_same(services: dict[str, Any]) -> None:
    """And the front knows both."""
    assert services["cloud-1"] == services["cloud-2"]
    front = (ROOT / "cloud/compose/Caddyfile").read_text()
    assert "reverse_proxy cloud-1:8000 cloud-2:8000" in front


def test_the_example_names_settings_that_the_file_reads(services: dict[str, Any]) -> None:
    text = (ROOT / "cloud/compose.yaml").read_text()
    for name in re.findall(r"^#?([A-Z_]+)=", (ROOT / "cloud/.env.example").read_text(), re.M):
        assert f"${{{name}" in text or f"    {name}:" in text, name
