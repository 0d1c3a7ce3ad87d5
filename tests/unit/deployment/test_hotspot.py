"""Comitup's file: ours beside the comments of the package, and taken out again."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
from visantctl.errors import Misconfigured
from visantctl.network import hotspot, hotspot_service
from visantctl.network.hotspot import Hotspot

SHIPPED = "#\n# Comitup configuration\n#\n\n# ap_name: comitup-<nnn>\n\n# ap_password: supersecretpassword\n"


def as_comitup_reads(text: str) -> configparser.SectionProxy:
    """Comitup 1.38 and 1.43, config.py: one section, with interpolation."""
    parser = configparser.ConfigParser()
    parser.read_string(f"[DEFAULT]\n{text}")
    return parser["DEFAULT"]


@pytest.mark.parametrize("password", ["abcd-efgh-jkmn", "#begins;with=marks:", "with blanks in it", "x" * 63])
def test_comitup_reads_back_what_was_written(password: str) -> None:
    text = hotspot.configured(SHIPPED, Hotspot("visant-ab12", password))
    found = as_comitup_reads(text)
    assert (found["ap_name"], found["ap_password"]) == ("visant-ab12", password)
    assert not found.getboolean("enable_appliance_mode")
    assert "# ap_password: supersecretpassword" in text


def test_a_second_time_changes_nothing_and_none_takes_it_out() -> None:
    wanted = Hotspot("visant-ab12", "abcd-efgh-jkmn")
    once = hotspot.configured(SHIPPED, wanted)
    assert hotspot.configured(once, wanted) == once
    assert hotspot.configured(once, None).strip() == SHIPPED.strip()
    assert "ap_password:" not in hotspot.configured(once, Hotspot("visant-ab12", "")).replace("# ap_password:", "")


def test_what_a_person_set_before_is_found_and_replaced(tmp_path: Path) -> None:
    file = tmp_path / "comitup.conf"
    assert hotspot.read(file) is None
    file.write_text("ap_name = lab\nap_password=by-hand-1\nverbose: 1\n")
    assert hotspot.read(file) == Hotspot("lab", "by-hand-1")
    assert as_comitup_reads(hotspot.configured(file.read_text(), Hotspot("visant-ab12", "12345678")))["verbose"] == "1"
    file.write_text("[broken\n")
    assert hotspot.read(file) is None


@pytest.mark.parametrize("ssid", ["has blank", "x" * 33, "umlaut-ä", "-first", "dot.local"])
def test_names_that_comitup_cannot_use_are_refused(ssid: str) -> None:
    with pytest.raises(Misconfigured, match="HOTSPOT_SSID"):
        hotspot.check(ssid, "")


@pytest.mark.parametrize("password", ["1234567", "x" * 64, "50%-percent", " leading1", "trailing1 ", "ümlaut123"])
def test_passwords_that_comitup_cannot_use_are_refused_and_not_repeated(password: str) -> None:
    with pytest.raises(Misconfigured, match="HOTSPOT_PASSWORD") as caught:
        hotspot.check("", password)
    assert password not in str(caught.value)


def test_the_file_is_roots_alone_and_the_portal_answers_on_the_hotspot_only(tmp_path: Path) -> None:
    conf, drop_in = tmp_path / "comitup.conf", tmp_path / "web.service.d/visant.conf"
    conf.write_text(SHIPPED)
    conf.chmod(0o644)
    wanted = hotspot.invented()
    assert hotspot_service.write(wanted, conf, drop_in)
    assert not hotspot_service.write(wanted, conf, drop_in)
    assert conf.stat().st_mode & 0o777 == 0o600
    assert hotspot.read(conf) == wanted
    assert "IPAddressDeny=any" in drop_in.read_text()


def test_a_radio_is_what_has_a_phy(tmp_path: Path) -> None:
    (tmp_path / "eth0").mkdir()
    assert not hotspot_service.has_radio(tmp_path)
    (tmp_path / "wlan0/phy80211").mkdir(parents=True)
    assert hotspot_service.has_radio(tmp_path)
