"""Docker's addresses keep away from the site's."""

from __future__ import annotations

import ipaddress

import pytest
from visantctl.network import address_pools


def networks(*texts: str) -> list[ipaddress.IPv4Network]:
    return [ipaddress.IPv4Network(text) for text in texts]


def test_the_default_route_and_dockers_own_routes_do_not_count() -> None:
    table = [
        {"dst": "default", "dev": "eth0"},
        {"dst": "192.168.1.0/24", "dev": "eth0"},
        {"dst": "172.17.0.0/16", "dev": "docker0"},
        {"dst": "172.18.0.0/16", "dev": "br-0a1b"},
        {"dst": "100.64.0.0/10", "dev": "tailscale0"},
        {"dst": "fe80::/64", "dev": "eth0"},
    ]
    assert address_pools.routes_in_use(table) == networks("192.168.1.0/24", "100.64.0.0/10")


@pytest.mark.parametrize("used", [[], ["172.30.5.0/24"], ["172.16.0.0/12"], ["172.16.0.0/12", "10.0.0.0/8"]])
def test_chosen_pools_overlap_no_route(used: list[str]) -> None:
    settings = address_pools.daemon_settings({}, networks(*used))
    pools = [settings["bip"], settings["default-address-pools"][0]["base"]]
    assert address_pools.clashes(pools, networks(*used)) == []
    bridge = ipaddress.ip_network(settings["bip"], strict=False)
    assert not bridge.overlaps(ipaddress.ip_network(pools[1])), "the bridge's addresses must not be given away twice"


def test_a_site_that_uses_everything_is_told_so() -> None:
    with pytest.raises(ValueError, match="by hand"):
        address_pools.choose(networks("0.0.0.0/1", "128.0.0.0/1"))


def test_what_an_administrator_chose_stays_when_it_fits_and_other_keys_always_stay() -> None:
    own = {"log-driver": "local", "default-address-pools": [{"base": "10.99.0.0/16", "size": 24}]}
    assert address_pools.daemon_settings(own, networks("192.168.1.0/24")) == own
    changed = address_pools.daemon_settings(own, networks("10.0.0.0/8"))
    assert changed["log-driver"] == "local"
    assert changed["default-address-pools"] != own["default-address-pools"]
