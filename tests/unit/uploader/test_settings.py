"""A wrong setting ends the start with one line that names it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from visant_runtime.settings import load, show
from visant_uploader.settings import UploaderSettings

GOOD = {"DEVICE_ID": "FLOOR1", "API_URL": "https://cloud.example/"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    for name in UploaderSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    def put(**more: str) -> None:
        for key, value in {**GOOD, **more}.items():
            monkeypatch.setenv(key, value)

    return put


def test_two_settings_are_enough(environment: Callable[..., None]) -> None:
    environment()
    settings = load(UploaderSettings)
    assert settings.api_url == "https://cloud.example" and settings.spool_max_bytes == 8 << 30


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 300),
        ({"METERED": "0"}, 300),
        ({"METERED": "1"}, 7200),
        ({"METERED": "1", "TELEMETRY_INTERVAL": ""}, 7200),
        ({"METERED": "1", "TELEMETRY_INTERVAL": "60"}, 60),
    ],
)
def test_a_metered_device_reports_its_health_each_two_hours_unless_it_is_told_otherwise(
    environment: Callable[..., None], given: dict[str, str], seconds: float
) -> None:
    environment(**given)
    settings = load(UploaderSettings)
    assert settings.telemetry_interval == seconds
    assert f"TELEMETRY_INTERVAL={float(seconds)}" in show(settings)


@pytest.mark.parametrize("port", ["9100", "not even a port"])
def test_an_address_for_the_metrics_of_an_older_release_harms_nothing(environment: Any, port: str) -> None:
    environment(HTTP_HOST="0.0.0.0", HTTP_PORT=port)
    load(UploaderSettings)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DEVICE_ID", "../FLOOR1"),
        ("DEVICE_ID", ""),
        ("API_URL", "cloud.example"),
        ("REDIS_URL", "http://redis"),
        ("API_URL", "https://cloud.example..com"),
        ("CAMERA_URL", "camera:8080"),
        ("SPOOL_MAX_BYTES", "8 GiB"),
        ("SPOOL_MIN_FREE_BYTES", "-1"),
        ("CAPTURE_PATIENCE", "0"),
        ("UPLOAD_TIMEOUT", "soon"),
        ("TELEMETRY_INTERVAL", "1"),
        ("METERED", "often"),
        ("DEVICE_TOKEN_FILE", "/nowhere/token"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(
    environment: Callable[..., None], capsys: pytest.CaptureFixture[str], key: str, value: str
) -> None:
    environment(**{key: value})
    with pytest.raises(SystemExit) as stopped:
        load(UploaderSettings)
    said = capsys.readouterr().err
    assert stopped.value.code == 78
    assert said.count("\n") == 1 and key in said and value in said


def test_a_token_that_fits_no_header_is_named_and_not_shown(
    environment: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    environment(DEVICE_TOKEN="s3crét")
    with pytest.raises(SystemExit):
        load(UploaderSettings)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "DEVICE_TOKEN is not valid" in said and "s3cr" not in said


def test_a_token_in_a_file_is_read_and_never_shown(environment: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("very-secret\n")
    environment(DEVICE_TOKEN_FILE=str(tmp_path / "token"))
    settings = load(UploaderSettings)
    assert settings.device_token is not None and settings.device_token.get_secret_value() == "very-secret"
    assert "very-secret" not in show(settings) and settings.secrets() == ["very-secret"]
