"""The Engine's proxy and authorities follow `.env.device`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from visantctl.host.log import Log
from visantctl.host.place import Place
from visantctl.network import engine_uplink


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "visant", tmp_path / "log", tmp_path / "units")
    place.prepare()
    return place


def apply(place: Place, text: str) -> bool:
    place.env_file.write_text(text)
    return engine_uplink.apply(place, Log(place.log))


def test_what_the_settings_say_is_what_the_shell_of_systemd_reads(place: Place) -> None:
    password = "p%24a%22ss"
    assert apply(place, f"HTTPS_PROXY=http://u:{password}@proxy.example:3128\nNO_PROXY='a.example, b'\n")
    drop_in, file = engine_uplink.files(place)
    assert drop_in.read_text() == f"[Service]\nEnvironmentFile=-{file}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert password not in drop_in.read_text(), "systemd shows a unit's text to everybody"
    shown = subprocess.run(["sh", "-c", f". {file}; echo $HTTPS_PROXY; echo $NO_PROXY"], capture_output=True, text=True)
    assert shown.stdout == f"http://u:{password}@proxy.example:3128\na.example, b\n"


def test_nothing_to_say_leaves_nothing_behind_and_a_second_time_changes_nothing(place: Place) -> None:
    assert not apply(place, "DEVICE_ID=A1\n")
    assert apply(place, "HTTPS_PROXY=http://p:1\n")
    assert not apply(place, "HTTPS_PROXY=http://p:1\n")
    assert apply(place, "HTTPS_PROXY=\n")
    assert [one.exists() for one in engine_uplink.files(place)] == [False, False]


def test_another_certificate_under_the_same_name_is_noticed(place: Place) -> None:
    (place.root / "secrets").mkdir()
    file = place.root / "secrets/ca.pem"
    file.write_text("one")
    settings = "SSL_CERT_FILE=/run/secrets/ca.pem\n"
    assert apply(place, settings)
    assert f'SSL_CERT_FILE="{file}"' in engine_uplink.files(place)[1].read_text()
    assert not apply(place, settings)
    file.write_text("two")
    assert apply(place, settings)


def test_the_callers_own_proxy_is_not_the_engines(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://laptop:3128")
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/hostname")
    assert not apply(place, "DEVICE_ID=A1\n")
