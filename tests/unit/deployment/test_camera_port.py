"""The camera's port on this device's loopback: a taken one is passed by, and a chosen one stays."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from visantctl.host.engine import Engine
from visantctl.host.place import Place
from visantctl.releases import camera_port
from visantctl.releases.stack import Stack

RUNNING = {
    "Id": "c1", "Image": "sha256:0", "RestartCount": 0, "State": {"Status": "running", "StartedAt": "x"},
    "Config": {"Image": "visant/camera:1.0.0", "Labels": {"com.docker.compose.service": "camera"}},
    "NetworkSettings": {"Ports": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8083"}]}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("held", "taken", "chosen"),
    [
        ([], set(), 8080),
        ([], {8080}, 8081),
        ([], set(range(8080, 8089)), 8089),
        ([], set(range(8080, 8090)), 8080),  # the Engine says what is wrong
        ([8083], set(), 8083),  # where the camera is already: no restart of it, though 8080 is free again
        ([8080], {8080}, 8080),  # taken by itself
        ([9000], set(), 8080),  # the setting was changed
    ],
)
def test_the_first_that_is_free_and_the_one_in_use_before_all(held: list[int], taken: set[int], chosen: int) -> None:
    assert camera_port.choose(8080, held, lambda port: port not in taken) == chosen


def test_no_port_is_beyond_the_last() -> None:
    assert camera_port.choose(65535, [], lambda _: False) == 65535


def test_a_port_on_which_somebody_listens_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
        assert not camera_port.is_free(port)
    assert camera_port.is_free(port)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A device whose docker notes the port that it is given."""
    (tmp_path / "bin").mkdir()
    docker = tmp_path / "bin/docker"
    docker.write_text(
        f"""#!/bin/sh
case "$1" in
ps) cat {tmp_path}/ids 2>/dev/null ;;
inspect) cat {tmp_path}/inspect.json ;;
compose) echo "${{CAMERA_PORT-unset}}" >>{tmp_path}/told ;;
esac
exit 0
"""
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.delenv("CAMERA_PORT", raising=False)
    (tmp_path / "inspect.json").write_text(json.dumps([RUNNING]))
    return Place(tmp_path, tmp_path / "log", tmp_path / "units")


def told(place: Place) -> list[str]:
    return (place.root / "told").read_text().split()


def test_a_start_is_told_a_free_port_and_the_cameras_own_while_it_runs(place: Place) -> None:
    stack = Stack(Engine(), place, "visant", "1.0.0")
    with socket.create_server(("127.0.0.1", 0)) as one:
        place.env_file.write_text(f"CAMERA_PORT={(port := one.getsockname()[1])}\n")
        stack.start()
        stack.up(5)
    assert all(port < int(port_told) < port + camera_port.TRIES for port_told in told(place))
    place.env_file.write_text("")
    (place.root / "ids").write_text("c1\n")
    stack.up(5)
    assert told(place)[-1] == "8083"


def test_a_range_in_the_settings_is_left_to_the_engine(place: Place) -> None:
    for text in ("8080-8089", "0"):
        place.env_file.write_text(f"CAMERA_PORT={text}\n")
        Stack(Engine(), place, "visant", "1.0.0").start()
    assert told(place) == ["unset", "unset"]
