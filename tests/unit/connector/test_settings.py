from pathlib import Path

import pytest

from tests.support.product import VERSION
from visant_connector.settings import ConnectorSettings
from visant_runtime.settings import EX_CONFIG, load, show

KEYS = [name.upper() for name in ConnectorSettings.model_fields]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("DEVICE_ID", "FLOOR1")
    monkeypatch.setenv("API_URL", "https://cloud.example/")


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        load(ConnectorSettings)
    assert stop.value.code == EX_CONFIG
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def test_the_defaults_are_those_of_the_fleet() -> None:
    settings = load(ConnectorSettings)
    assert settings.api_url == "https://cloud.example"
    assert (settings.stream_timeout, settings.reconnect_delay, settings.command_ttl) == (70, 5, 300)
    assert settings.device_token is None
    assert settings.device_version == VERSION


@pytest.mark.parametrize(("metered", "asked"), [("", None), ("0", None), ("1", 180.0)])
def test_a_metered_device_asks_for_pings_each_three_minutes(
    metered: str, asked: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METERED", metered)
    assert load(ConnectorSettings).ping_every == asked


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DEVICE_ID", "../etc"),
        ("DEVICE_ID", "a b"),
        ("DEVICE_ID", "x" * 65),
        ("API_URL", "cloud.example"),
        ("API_URL", "ftp://cloud.example"),
        ("API_URL", "https://user:pass@cloud.example"),
        ("API_URL", "https://cloud.example\u200b"),
        ("API_URL", "https://cloud..example"),
        ("REDIS_URL", "http://127.0.0.1"),
        ("STREAM_TIMEOUT", "soon"),
        ("STREAM_TIMEOUT", "0"),
        ("RECONNECT_DELAY", "-1"),
        ("METERED", "often"),
        ("DEVICE_TOKEN", "two words"),
        ("DEVICE_TOKEN", "tök"),
    ],
)
def test_a_bad_value_ends_the_start_with_one_line_that_names_the_key(
    key: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(key, value)
    assert key in refusal(capsys)


def test_the_address_of_the_camera_in_the_same_file_is_none_of_its_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_HOST", "0.0.0.0")
    monkeypatch.setenv("HTTP_PORT", "8080")
    assert "HTTP_" not in show(load(ConnectorSettings))


@pytest.mark.parametrize("key", ["DEVICE_ID", "API_URL"])
def test_a_missing_key_is_named(key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv(key)
    assert f"{key} is not set" in refusal(capsys)


def test_the_token_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("s3cret-token\n")
    monkeypatch.setenv("DEVICE_TOKEN_FILE", str(tmp_path / "token"))
    settings = load(ConnectorSettings)
    assert settings.device_token is not None
    assert settings.device_token.get_secret_value() == "s3cret-token"
    assert "s3cret-token" not in show(settings)


def test_two_tokens_are_one_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEVICE_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("DEVICE_TOKEN", "s3cret-token")
    assert "both set" in refusal(capsys)


@pytest.mark.parametrize(
    ("url", "clear"),
    [("http://cloud.example", True), ("https://cloud.example", False), ("http://127.0.0.1:8000", False)],
)
def test_a_token_that_anybody_can_read_on_the_way_is_noticed(
    url: str, clear: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_URL", url)
    monkeypatch.setenv("DEVICE_TOKEN", "s3cret-token")
    assert load(ConnectorSettings).token_in_the_clear is clear
