"""A copied card reads who it is. The host's own programs are stand-ins here; on a host: tests/pi_host."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from visantctl import cli
from visantctl.errors import Problem
from visantctl.fleet import boot_partition, clone
from visantctl.fleet.first_boot import FirstBoot
from visantctl.host import durable
from visantctl.host.env_file import read_env_file
from visantctl.network import hotspot, hotspot_service
from visantctl.wiring import Device


class Copy:
    """A card as prepare-clone leaves it."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = tmp_path / "root"
        for folder in ("boot/firmware", "etc/docker", "opt/visant/state", "opt/visant/releases/1.0.0/deployment"):
            (self.root / folder).mkdir(parents=True)
        self.visant = self.root / "opt/visant"
        (self.visant / ".env.device").write_text("DEVICE_ID=\nAPI_URL=https://c.example\nDEVICE_TOKEN=\n")
        release = self.visant / "releases/1.0.0"
        (release / "release.json").write_text("{}")
        (release / ".env.device.example").write_text("DEVICE_ID=\nAPI_URL=\nCAMERA_SOURCE=0\n")
        (release / "deployment/addwifi.sh").write_text(
            f'read -r p; echo "$2 $p" >>{tmp_path}/wifi; exit ${{WIFI:-0}}\n'
        )
        (self.visant / "current").symlink_to("releases/1.0.0")
        (self.root / "etc/comitup.conf").write_text("# shipped\n")
        (self.root / "etc/docker/daemon.json").write_text('{"default-address-pools": [{"base": "198.18.128.0/17"}]}')
        durable.write_json(
            self.visant / "state/clone.json", {"complete": True, "on": ["comitup.service"], "open": False}
        )
        stand_ins = tmp_path / "bin"
        stand_ins.mkdir()
        for name in ("systemctl", "ip"):
            (stand_ins / name).write_text(f'#!/bin/sh\n[ {name} = ip ] || echo "$@" >>{tmp_path}/systemctl\n')
            (stand_ins / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{stand_ins}:{os.environ['PATH']}")
        monkeypatch.setenv("VISANT_ROOT", str(self.visant))
        monkeypatch.setenv("VISANT_UPDATE_LOG", str(tmp_path / "log"))
        monkeypatch.setattr(hotspot_service, "has_radio", lambda: True)
        self.log, self.systemctl, self.wifi = tmp_path / "log", tmp_path / "systemctl", tmp_path / "wifi"

    def card(self, text: str, name: str = "visant.env") -> Path:
        file = self.root / "boot/firmware" / name
        file.write_text(text)
        return file

    def apply(self) -> None:
        FirstBoot(Device.here(), self.root).apply()

    @property
    def settings(self) -> dict[str, str]:
        return read_env_file(self.visant / ".env.device")

    @property
    def waits(self) -> bool:
        return clone.marker(Device.here()).exists()


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    return Copy(tmp_path, monkeypatch)


def test_a_card_becomes_the_device_that_its_file_names(copy: Copy) -> None:
    file = copy.card(
        "DEVICE_ID=Hall_3\nDEVICE_TOKEN=s3cret\nCAMERA_SOURCE=1\nWIFI_SSID=--Hall\nWIFI_PASSWORD=pass word 1\n"
        "HOTSPOT_SSID=visant-ab12\nHOTSPOT_PASSWORD=abcd-efgh-jkmn\n"
    )
    copy.apply()
    assert copy.settings["DEVICE_ID"] == "Hall_3"
    assert copy.settings["API_URL"] == "https://c.example"
    assert copy.settings["CAMERA_SOURCE"] == "1"
    assert (copy.visant / "secrets/device_token").read_text() == "s3cret\n"
    assert (copy.root / "etc/hostname").read_text() == "visant-hall-3\n"
    assert copy.wifi.read_text() == "--Hall pass word 1\n"
    assert hotspot.read(copy.root / "etc/comitup.conf") == hotspot.Hotspot("visant-ab12", "abcd-efgh-jkmn")
    started = copy.systemctl.read_text()
    for unit in ("comitup.service", "visant-device-v2.service", "visant-update.timer"):
        assert f"--quiet enable {unit}" in started
        assert f"start --no-block {unit}" in started
    assert not file.exists()
    assert not copy.waits
    assert "s3cret" not in copy.log.read_text()


@pytest.mark.parametrize("name", ["VISANT.ENV", "visant.env.txt"])
def test_names_as_windows_makes_them_are_found(copy: Copy, name: str) -> None:
    copy.card("DEVICE_ID=A\r\n", name)
    copy.apply()
    assert copy.settings["DEVICE_ID"] == "A"


def test_a_hotspot_that_the_file_does_not_name_is_made_up_once(copy: Copy) -> None:
    copy.card("DEVICE_ID=A\nENROL_CODE=AAAAA-BBBBB\nAPI_URL=http://127.0.0.1:9\n")
    with pytest.raises(Problem, match="does not answer"):
        copy.apply()
    first = hotspot.read(copy.root / "etc/comitup.conf")
    assert first is not None
    assert first.password
    assert copy.waits
    assert "visant-device-v2" not in copy.systemctl.read_text()
    assert "start --no-block comitup.service" in copy.systemctl.read_text()  # the way to a network
    copy.card("DEVICE_ID=A\n")
    copy.apply()
    assert hotspot.read(copy.root / "etc/comitup.conf") == first


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "DEVICE_ID is missing"),
        ("DEVICE_ID=A\nCAMERA=0\n", "unknown: CAMERA"),
        ("DEVICE_ID=A\nAPI_URL=cloud\n", "API_URL='cloud'"),
        ("DEVICE_ID=A\nHOTSPOT_PASSWORD=%%%%%%%%\n", "HOTSPOT_PASSWORD"),
    ],
)
def test_a_bad_file_changes_nothing_and_waits(copy: Copy, text: str, word: str) -> None:
    file = copy.card(text)
    before = (copy.visant / ".env.device").read_text()
    with pytest.raises(Problem, match=word):
        copy.apply()
    assert (copy.visant / ".env.device").read_text() == before
    assert not (copy.root / "etc/hostname").exists()
    assert file.exists()
    assert copy.waits


def test_what_is_missing_is_said_once_and_the_file_is_seen_when_it_comes(
    copy: Copy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("visantctl.fleet.first_boot._LOOK_EVERY", 0.02)
    monkeypatch.setattr("visantctl.fleet.first_boot._AGAIN_REFUSED", 0.1)
    stopping = threading.Event()
    waiting = threading.Thread(target=FirstBoot(Device.here(), copy.root).wait_and_apply, args=(stopping,))
    waiting.start()
    try:
        for text, word in ((None, "visant.env is missing"), ("DEVICE_ID=a b\n", "DEVICE_ID='a b'")):
            if text:
                copy.card(text)
            for _ in range(500):
                if copy.log.is_file() and word in copy.log.read_text():
                    break
                threading.Event().wait(0.02)
            threading.Event().wait(0.3)  # several more looks
            assert copy.log.read_text().count(word) == 1
        copy.card("DEVICE_ID=A\n")
        waiting.join(10)
    finally:
        stopping.set()
        waiting.join(10)
    assert copy.settings["DEVICE_ID"] == "A"


def test_without_a_boot_partition_that_is_said(copy: Copy) -> None:
    (copy.root / "boot/firmware").rmdir()
    (copy.root / "boot").rmdir()
    with pytest.raises(Problem, match="no boot partition"):
        boot_partition.find(copy.root)


def test_an_image_that_was_not_finished_says_so(copy: Copy) -> None:
    durable.write_json(copy.visant / "state/clone.json", {"complete": False})
    copy.card("DEVICE_ID=A\n")
    with pytest.raises(Problem, match="cut short"):
        copy.apply()


def test_an_image_without_api_url_and_a_file_without_one(copy: Copy) -> None:
    (copy.visant / ".env.device").write_text("DEVICE_ID=\n")
    copy.card("DEVICE_ID=A\n")
    with pytest.raises(Problem, match="name no API_URL"):
        copy.apply()


def test_a_wifi_that_is_not_taken_is_named_without_its_password(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIFI", "1")
    copy.card("DEVICE_ID=A\nWIFI_SSID=Hall\nWIFI_PASSWORD=s3cret-word\n")
    with pytest.raises(Problem, match="WIFI_SSID='Hall' was not added") as caught:
        copy.apply()
    assert "s3cret" not in str(caught.value)


def test_a_device_that_is_somebody_has_nothing_to_do(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    (copy.visant / "state/clone.json").unlink()
    assert cli.main(["first-boot"]) == 0
    assert "nothing to do" in capsys.readouterr().out
