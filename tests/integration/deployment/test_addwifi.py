"""addwifi.sh with a stand-in for nmcli, as lenient as the real one. With NetworkManager: tests/pi_host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "deployment/addwifi.sh"
NMCLI = """
import json, os, pathlib, sys
file, words = pathlib.Path(os.environ["PROFILES"]), sys.argv[1:]
known = json.loads(file.read_text())
if words[0] == "connection" and words[1] == "edit":  # as nmcli's editor: what it refuses, it goes on without
    profile = known[words[3]]
    for line in sys.stdin:
        command, key, value = [*line.strip().split(" ", 2), "", ""][:3]
        key = key.split(".")[-1]
        if command == "remove":
            profile.pop("key-mgmt", None), profile.pop("psk", None)
        if command == "set" and not (key == "psk" and (len(value) > 63 or os.environ.get("REFUSES"))):
            profile[key] = value
elif words[:2] == ["connection", "add"]:
    known[words[words.index("connection.uuid") + 1]] = {"ssid": words[words.index("ssid") + 1]}
elif words[:2] == ["connection", "delete"]:
    del known[words[3]]
elif words[:3] == ["-t", "-f", "UUID,TYPE"]:
    print(*(f"{one}:802-11-wireless" for one in known), sep="\\n")
elif "-g" in words and words[-1] in known:
    asked = file.with_name("asked")
    hides = "-s" in words and not asked.exists()  # trixie's now and then
    if "-s" in words:
        asked.touch()
    for key in words[words.index("-g") + 1].split(","):
        print("" if hides and key.endswith("psk") else known[words[-1]].get(key.split(".")[-1], ""))
file.write_text(json.dumps(known))
"""


class Wifi:
    """What NetworkManager keeps, and the script on it."""

    def __init__(self, tmp_path: Path) -> None:
        self._file = tmp_path / "profiles.json"
        self.profiles = {"u1": {"ssid": "Hall 3", "key-mgmt": "wpa-psk", "psk": "pass word 1"}}
        self._bin = tmp_path / "bin"
        self._bin.mkdir()
        (self._bin / "nmcli").write_text(f"#!{sys.executable} -IS\n{NMCLI}")
        (self._bin / "id").write_text("#!/bin/sh\necho 0\n")
        for one in self._bin.iterdir():
            one.chmod(0o755)

    @property
    def profiles(self) -> dict[str, dict[str, str]]:
        return dict(json.loads(self._file.read_text()))

    @profiles.setter
    def profiles(self, value: dict[str, dict[str, str]]) -> None:
        self._file.write_text(json.dumps(value))

    def add(self, ssid: str, password: bytes, **environment: str) -> tuple[int, str]:
        path = f"{self._bin}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", str(SCRIPT), ssid, "--priority", "50"],
            input=password, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False,
            env={**os.environ, "PATH": path, "PROFILES": str(self._file), **environment},
        )  # fmt: skip
        return done.returncode, done.stdout.decode()


@pytest.fixture
def wifi(tmp_path: Path) -> Wifi:
    return Wifi(tmp_path)


@pytest.mark.parametrize(
    ("password", "word"),
    [
        (b"z" * 64, "64 that are all hex digits"),
        (b"0" * 65, "this has 65"),
        (b"short", "this has 5"),
        ("ä".encode() * 32, "this has 64"),  # NetworkManager counts bytes
        (b"pass word ", "begins or ends with a blank"),
        (b" pass word", "begins or ends with a blank"),
        (b"pass\tword", "control characters"),
        (b"pass\xffword", "UTF-8"),
    ],
)
@pytest.mark.parametrize("ssid", ["Hall 3", "new"])
def test_a_password_that_cannot_be_stored_is_one_line_and_changes_nothing(
    wifi: Wifi, ssid: str, password: bytes, word: str
) -> None:
    before = wifi.profiles
    code, out = wifi.add(ssid, password + b"\n")
    assert code == 2, out
    assert word in out
    assert len(out.splitlines()) == 1
    assert wifi.profiles == before


@pytest.mark.parametrize(("ssid", "word"), [("Hall 3", "the old profile stays"), ("new", "nothing was added")])
def test_a_password_that_network_manager_refuses_is_a_failure_also_for_a_known_network(
    wifi: Wifi, ssid: str, word: str
) -> None:
    code, out = wifi.add(ssid, b"pass word 2\n", REFUSES="yes")
    assert code == 1, out
    assert word in out
    assert len(out.splitlines()) == 1
    assert list(wifi.profiles) == ["u1"]
    assert wifi.profiles["u1"]["psk"] == "pass word 1"


@pytest.mark.parametrize(
    ("password", "stored"),
    [
        (b"pass word 2\r\n", "pass word 2"),
        (b'back\\slash:"q#$`!', 'back\\slash:"q#$`!'),
        ("pässwört".encode(), "pässwört"),
    ],
    ids=["windows", "special", "umlauts"],
)
def test_any_other_password_is_stored_as_it_is(wifi: Wifi, password: bytes, stored: str) -> None:
    assert wifi.add("Hall 3", password, LC_ALL="C") == (0, "Hall 3 changed\n")
    assert wifi.profiles["u1"]["psk"] == stored
    assert wifi.add("new", password)[0] == 0
    assert [one["psk"] for one in wifi.profiles.values()] == [stored, stored]


def test_a_network_becomes_open_with_an_empty_password(wifi: Wifi) -> None:
    code, out = wifi.add("Hall 3", b"\n")
    assert code == 0
    assert "open: anybody nearby" in out
    assert "psk" not in wifi.profiles["u1"]
