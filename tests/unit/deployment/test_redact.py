"""What leaves the device holds no secret of its settings."""

from __future__ import annotations

import pytest
from visantctl.errors import Misconfigured
from visantctl.host.engine import without_settings
from visantctl.host.env_file import checked, secrets_of
from visantctl.host.redact import MASK, redact


def test_a_known_secret_is_masked_wherever_it_stands() -> None:
    known = secrets_of(
        {"DEVICE_TOKEN": "abcd1234", "DEVICE_TOKEN_FILE": "/run/secrets/device_token", "DEVICE_ID": "FLOOR1"}
    )
    assert known == {"abcd1234"}
    assert redact("GET /x?t=abcd1234 by FLOOR1", known) == f"GET /x?t={MASK} by FLOOR1"


@pytest.mark.parametrize(
    "values",
    [
        {"CAMERA_SOURCE": "rtsp://admin:hunter22'\" zqk@10.0.0.9/live"},
        {"HTTPS_PROXY": "http://hunter22@proxy.example:3128"},
        {"REDIS_URL": "redis://:hunter22@redis:6379/0"},
        {"UPDATE_URL": "https://releases.example/visant?key=hunter22"},
    ],
)
def test_what_is_secret_in_an_address_of_the_settings_is_masked(values: dict[str, str]) -> None:
    (line,) = (f"{key}={value}" for key, value in values.items())
    assert "hunter22" not in redact(line, secrets_of(values))
    assert "zqk" not in redact(line, secrets_of(values))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("HTTPS_PROXY", "https://u:hunter22[@proxy"),
        ("HTTPS_PROXY", "http://u:hunter22@p:x"),
        ("API_URL", "https://u:hunter22@h"),
    ],
)
def test_a_refused_address_is_named_without_its_password(key: str, value: str) -> None:
    with pytest.raises(Misconfigured) as error:
        checked(key, value)
    assert key in str(error.value)
    assert "hunter22" not in str(error.value)


@pytest.mark.parametrize(
    "said",
    [
        "unterminated quoted value 'hunter22",
        'unterminated quoted value "http://u:hunter22@x',
        'unexpected character "+" in variable name "DEV+ICE=hunter22"',
    ],
)
def test_what_compose_quotes_of_the_settings_is_left_out(said: str) -> None:
    line = f"failed to read /opt/visant/.env.device: line 3: {said}"
    assert without_settings(line) == (
        "failed to read /opt/visant/.env.device: line 3: not KEY=VALUE, or a quote does not end"
    )
