"""Which addresses the aiming page may stand on, and who gets in."""

from __future__ import annotations

from typing import Any

import pytest
from visantctl.aim import addresses
from visantctl.aim.gate import TRIES_AN_ADDRESS, TRIES_IN_ALL, Gate, new_pin
from visantctl.errors import Misconfigured, Problem


def link(name: str, *found: str) -> dict[str, Any]:
    return {"ifname": name, "addr_info": [{"family": "inet", "local": one} for one in found]}


TABLE: list[dict[str, Any]] = [
    link("lo", "127.0.0.1"),
    link("eth0", "192.168.1.23", "169.254.7.7"),
    link("wlan0", "10.41.0.1"),
    link("tailscale0", "100.101.102.103"),
    link("docker0", "172.17.0.1"),
    link("br-0a1b2c", "172.18.0.1"),
    link("veth12ab", "10.9.9.9"),
    link("wwan0", "8.8.4.4"),
    link("wwan1", "100.64.0.9"),
    {"ifname": "eth1"},
    {},
]


def test_own_networks_are_offered_and_dockers_the_carriers_and_public_ones_are_not() -> None:
    assert [(one.kind, one.address) for one in addresses.reachable(TABLE)] == [
        ("hotspot", "10.41.0.1"),
        ("lan", "192.168.1.23"),
        ("lan", "169.254.7.7"),
        ("tailscale", "100.101.102.103"),
    ]


@pytest.mark.parametrize(
    ("wanted", "count"), [("all", 4), ("lan", 2), ("hotspot", 1), ("tailscale", 1), ("eth0", 2), ("192.168.1.23", 1)]
)
def test_what_is_chosen(wanted: str, count: int) -> None:
    assert len(addresses.choose(addresses.reachable(TABLE), wanted)) == count


@pytest.mark.parametrize("wanted", ["", "0.0.0.0", "127.0.0.1", "8.8.4.4", "docker0", "LAN"])
def test_what_is_not_offered_cannot_be_chosen_and_what_is_there_is_named(wanted: str) -> None:
    with pytest.raises(Misconfigured, match=r"there is only hotspot \(wlan0, 10\.41\.0\.1\)"):
        addresses.choose(addresses.reachable(TABLE), wanted)


def test_a_device_without_any_network_says_so() -> None:
    with pytest.raises(Problem, match="no address"):
        addresses.choose([], "all")


def test_a_session_is_nobodys_guess_and_a_pin_has_six_digits() -> None:
    gate = Gate("123456", lambda: None)
    answer, session = gate.enter("a", " 123 456 ")
    assert answer == "right"
    assert gate.admits(session)
    assert not any(gate.admits(one) for one in (None, "", session[:-1], "123456"))
    assert len(session) >= 32
    assert all(len(pin) == 6 and pin.isdecimal() for pin in (new_pin() for _ in range(100)))


def test_tries_are_counted_for_each_address_and_for_all() -> None:
    called: list[bool] = []
    gate = Gate("123456", lambda: called.append(True))
    for number in range(TRIES_IN_ALL // TRIES_AN_ADDRESS):
        assert not called
        for _ in range(TRIES_AN_ADDRESS):
            assert gate.enter(f"address {number}", "١٢٣٤٥٦")[0] == "wrong"
        assert gate.enter(f"address {number}", "123456")[0] == "locked"
    assert called == [True]
    assert gate.enter("another", "123456")[0] == "locked"
    assert len(called) == 1
