"""What leaves the device holds no secret."""

from __future__ import annotations

import pytest
from visantctl.host.redact import MASK, redact, secrets_of


@pytest.mark.parametrize(
    "text",
    [
        "DEVICE_TOKEN=hunter22", "psk=hunter22", 'password: "hunter22"', "Authorization: Bearer hunter22",
        "CAMERA_SOURCE=rtsp://admin:hunter22@10.0.0.9/stream", '"api_key": "hunter22"', "tailscale --auth-key=hunter22",
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    assert "hunter22" not in redact(text)
    assert MASK in redact(text)


def test_a_known_secret_is_masked_wherever_it_stands() -> None:
    known = secrets_of(
        {"DEVICE_TOKEN": "abcd1234", "DEVICE_TOKEN_FILE": "/run/secrets/device_token", "DEVICE_ID": "FLOOR1"}
    )
    assert known == {"abcd1234"}
    assert redact("GET /x?t=abcd1234 by FLOOR1", known) == f"GET /x?t={MASK} by FLOOR1"


def test_what_helps_is_left() -> None:
    for line in (
        "DEVICE_TOKEN_FILE=/run/secrets/device_token",
        "API_URL=https://cloud.example:8443/x",
        "12:00:01 uploader ok",
    ):
        assert redact(line) == line


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
    assert redact(line) == "failed to read /opt/visant/.env.device: line 3: not KEY=VALUE, or a quote does not end"
