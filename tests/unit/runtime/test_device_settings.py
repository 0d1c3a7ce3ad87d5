"""What connector and uploader are told of their device and its cloud: the same keys, the same answers."""

from pathlib import Path

import pytest

from visant_connector.settings import ConnectorSettings
from visant_runtime.device.settings import DeviceSettings
from visant_runtime.settings import EX_CONFIG, load
from visant_uploader.settings import UploaderSettings

BOTH = pytest.mark.parametrize("kind", [ConnectorSettings, UploaderSettings])
TOKEN = "s3cret-token"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (ConnectorSettings, UploaderSettings):
        for name in kind.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DEVICE_ID", "FLOOR1")
    monkeypatch.setenv("API_URL", "https://cloud.example/")


@pytest.fixture
def token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "device_token"
    path.write_text(TOKEN + "\n")
    monkeypatch.setenv("DEVICE_TOKEN_FILE", str(path))
    return path


def refusal(kind: type[DeviceSettings], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        load(kind)
    assert stop.value.code == EX_CONFIG
    (line,) = capsys.readouterr().err.strip().splitlines()
    return str(line)


def token_of(kind: type[DeviceSettings]) -> str | None:
    token = load(kind).device_token
    return None if token is None else token.get_secret_value()


@BOTH
def test_the_token_comes_from_the_file_where_todays_installer_left_the_other_key_empty(
    kind: type[DeviceSettings], token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVICE_TOKEN", "")
    assert token_of(kind) == TOKEN


@pytest.mark.parametrize("held", [f"{TOKEN}\n", "an0ther-token\n", "", None])
def test_two_tokens_are_refused_by_both_services_with_the_same_line_that_shows_neither(
    held: str | None, token_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEVICE_TOKEN", TOKEN)
    token_file.unlink() if held is None else token_file.write_text(held)
    lines = {refusal(kind, capsys) for kind in (ConnectorSettings, UploaderSettings)}
    (line,) = lines
    assert "DEVICE_TOKEN and DEVICE_TOKEN_FILE=" in line and "both set" in line and "remove one" in line
    assert str(token_file) in line and TOKEN not in line and "an0ther" not in line


@BOTH
def test_a_file_that_cannot_be_read_is_named_with_what_belongs_into_it(
    kind: type[DeviceSettings], token_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token_file.unlink()
    line = refusal(kind, capsys)
    assert f"DEVICE_TOKEN_FILE={token_file}" in line and "put the secret in it" in line


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DEVICE_ID", "a b"),
        ("DEVICE_ID", "FLOOR1\n"),
        ("API_URL", "cloud.example"),
        ("REDIS_URL", "http://redis"),
        ("REDIS_URL", "redis://redis:port"),
        ("DEVICE_TOKEN", "two words"),
    ],
)
def test_a_bad_value_is_refused_by_both_services_with_the_same_line(
    key: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(key, value)
    lines = {refusal(kind, capsys) for kind in (ConnectorSettings, UploaderSettings)}
    assert len(lines) == 1 and key in lines.pop()


@BOTH
@pytest.mark.parametrize("url", ["redis://redis:6379/0", "rediss://user:pass@redis/1", "unix:///run/redis.sock"])
def test_every_kind_of_address_that_the_redis_client_knows_is_taken_as_it_was_written(
    kind: type[DeviceSettings], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    assert load(kind).redis_url == url


@BOTH
@pytest.mark.parametrize(
    ("url", "clear"),
    [
        ("http://cloud.example", True),
        ("https://cloud.example", False),
        ("http://127.0.0.1:8000", False),
        ("http://localhost", False),
        ("http://[::1]:8000", False),
    ],
)
def test_a_token_that_anybody_can_read_on_the_way_is_noticed(
    kind: type[DeviceSettings], url: str, clear: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_URL", url)
    assert not load(kind).token_in_the_clear, "without a token there is none to read"
    monkeypatch.setenv("DEVICE_TOKEN", TOKEN)
    assert load(kind).token_in_the_clear is clear


@BOTH
@pytest.mark.parametrize("value", ["0.5", "86401", "nan", "soon"])
def test_a_time_to_live_that_one_of_them_refuses_is_refused_by_both(
    kind: type[DeviceSettings], value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMMAND_TTL", value)
    line = refusal(kind, capsys)
    assert "COMMAND_TTL" in line and value in line and "1 to 86400" in line


@BOTH
@pytest.mark.parametrize("value", ["1", "86400"])
def test_the_bounds_of_the_time_to_live_are_good_in_both(
    kind: type[DeviceSettings], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMMAND_TTL", value)
    assert load(kind).command_ttl == float(value)
