"""Which rules are set, on Engines old and new. That they keep a neighbour out is shown on a whole host (`pi-host`)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from visantctl.host.engine import Engine
from visantctl.network import neighbours

NETWORKS = [
    {"Id": "a" * 64, "Driver": "bridge", "Internal": False, "Options": {}},
    {"Id": "b" * 64, "Driver": "bridge", "Internal": True, "Options": {}},
    {"Id": "c" * 64, "Driver": "bridge", "Options": {"com.docker.network.bridge.name": "lo"}},
]


class StubEngine(Engine):
    def __init__(self, version: str) -> None:
        super().__init__()
        self._version = version

    def run(self, *arguments: str, **how: Any) -> str:
        if arguments[0] == "version":
            return f"{self._version}\n"
        return "a\nb\nc\n" if arguments[:2] == ("network", "ls") else json.dumps(NETWORKS)


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The chain, as a fake of iptables keeps it."""
    chain: list[str] = []

    def fake(action: str, name: str, *rest: str) -> str | None:
        rule = " ".join(rest)
        if action == "-S":
            return "".join(f"-A {name} {one}\n" for one in chain)
        if action == "-I":
            chain.insert(0, rule)
        elif rule not in chain:
            return None
        elif action == "-D":
            chain.remove(rule)
        return ""

    monkeypatch.setattr(neighbours, "_iptables", fake)
    return chain


def test_each_network_that_leads_outside_is_shut_once(rules: list[str]) -> None:
    gone = "! -i br-dddddddddddd -o br-dddddddddddd -m conntrack --ctstate NEW -j DROP"
    rules.append(gone)
    engine = StubEngine("26.1.5+dfsg1")
    assert neighbours.open_bridges(engine, "visant") == ["br-aaaaaaaaaaaa", "lo"]
    neighbours.keep_out(engine, "visant")
    neighbours.keep_out(engine, "visant")
    assert neighbours.open_bridges(engine, "visant") == []
    assert "! -i lo -o lo -m conntrack --ctstate NEW -j DROP" in rules
    assert len(rules) == 2
    assert gone not in rules, "of a bridge that is not there any more"


def test_what_others_wrote_is_left_alone(rules: list[str]) -> None:
    rules += ["-i eth9 -j DROP", "-j RETURN"]
    neighbours.keep_out(StubEngine("24.0.0"), "visant")
    assert rules[-2:] == ["-i eth9 -j DROP", "-j RETURN"]


def test_an_engine_that_keeps_them_out_itself_needs_no_rule(rules: list[str]) -> None:
    neighbours.keep_out(StubEngine("28.0.1"), "visant")
    assert rules == []


def test_where_iptables_is_not_to_be_had_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    neighbours.keep_out(StubEngine("26.1.5"), "visant")
    assert neighbours.open_bridges(StubEngine("26.1.5"), "visant") == ["br-aaaaaaaaaaaa", "lo"]
