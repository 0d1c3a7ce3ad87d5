"""`.env.device` is edited as a careful person would."""

from __future__ import annotations

from pathlib import Path

import pytest
from visantctl.errors import Misconfigured
from visantctl.host import env_file
from visantctl.host.env_file import read_env_file
from visantctl.host.place import Place

EXAMPLE = "# who\nDEVICE_ID=\nAPI_URL=\n# camera\nCAMERA_SOURCE=0\n#UPDATE_URL=\n"


def place(root: Path) -> Place:
    return Place(root, root / "log", root / "units")


def test_values_replace_their_line_and_comments_stay() -> None:
    text = env_file.with_values(EXAMPLE, {"DEVICE_ID": "A1", "UPDATE_URL": "https://x.example"})
    assert (
        text == "# who\nDEVICE_ID=A1\nAPI_URL=\n# camera\nCAMERA_SOURCE=0\n#UPDATE_URL=\nUPDATE_URL=https://x.example\n"
    )


def test_a_key_set_twice_is_set_once_afterwards() -> None:
    assert env_file.with_values("A=1\nB=2\nexport A=3\n", {"A": "9"}) == "A=9\nB=2\n"


@pytest.mark.parametrize("value", ["plain", "with space", "a#b", "cost$5", 'say "hi"', "rtsp://u:p@10.0.0.1/s?x=1&y=2"])
def test_what_is_written_is_read_back_as_the_same_value(tmp_path: Path, value: str) -> None:
    (tmp_path / ".env.device").write_text(env_file.with_values("", {"CAMERA_SOURCE": value}))
    assert read_env_file(tmp_path / ".env.device") == {"CAMERA_SOURCE": value}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DEVICE_ID", "no spaces"),
        ("DEVICE_ID", ""),
        ("DEVICE_ID", "../x"),
        ("API_URL", "cloud.example"),
        ("A-B", "1"),
        ("HTTPS_PROXY", "proxy.example"),
        ("CAMERA_SOURCE", "0\nDEVICE_ID=other"),
    ],
)
def test_bad_values_are_refused_by_name_and_nothing_is_written(tmp_path: Path, key: str, value: str) -> None:
    example = tmp_path / "example"
    example.write_text(EXAMPLE)
    with pytest.raises(Misconfigured, match=key):
        env_file.write(place(tmp_path), {key: value}, example)
    assert not (tmp_path / ".env.device").exists()


def test_the_old_guides_api_url_with_v1_is_understood() -> None:
    assert env_file.checked("API_URL", "https://cloud.example/v1/") == "https://cloud.example"


def test_the_file_is_roots_alone_and_a_second_write_changes_nothing(tmp_path: Path) -> None:
    example = tmp_path / "example"
    example.write_text(EXAMPLE)
    assert env_file.write(place(tmp_path), {"DEVICE_ID": "A1"}, example) == ["DEVICE_ID"]
    assert (tmp_path / ".env.device").stat().st_mode & 0o777 == 0o600
    assert env_file.write(place(tmp_path), {"DEVICE_ID": "A1"}, example) == []


def test_a_token_goes_to_its_own_file_and_leaves_the_settings(tmp_path: Path) -> None:
    (tmp_path / ".env.device").write_text("DEVICE_ID=A1\nDEVICE_TOKEN=old\n")
    env_file.store_token(place(tmp_path), "secret-word\n")
    values = read_env_file(tmp_path / ".env.device")
    assert values["DEVICE_TOKEN"] == ""
    assert values["DEVICE_TOKEN_FILE"] == "/run/secrets/device_token"
    assert (tmp_path / "secrets/device_token").read_text() == "secret-word\n"
    assert (tmp_path / "secrets/device_token").stat().st_mode & 0o777 == 0o640
    with pytest.raises(Misconfigured, match="one word"):
        env_file.store_token(place(tmp_path), "two words")
