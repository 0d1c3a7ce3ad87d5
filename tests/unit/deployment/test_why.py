"""What the doctor says of a service that does not run: its own last error, or the Engine's."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from visantctl.doctor.checks import camera, release
from visantctl.errors import EngineFailed, Misconfigured, NoSpace, Problem, Refused, Unreachable
from visantctl.host.engine import Engine
from visantctl.host.place import Place
from visantctl.releases import images, why

TAKEN = (
    "driver failed programming external connectivity on endpoint visant-camera-1 (960a): Error starting userland "
    "proxy: listen tcp4 127.0.0.1:18080: bind: address already in use"
)
LOG = "\x1b[2K[INFO] uploader starts\n\x1b[2K[ERROR] UPLOAD_TIMEOUT='30s' is not valid (a number): seconds, 1 to 600\n"


def container(service: str, status: str, restarts: int = 0, port: int | None = None) -> dict[str, Any]:
    bound = {} if port is None else {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    return {
        "Id": service, "Image": "sha256:0", "RestartCount": restarts,
        "State": {"Status": status, "StartedAt": "x", "Health": {"Status": "starting"}},
        "Config": {"Image": f"visant/{service}:1.0.0", "Labels": {"com.docker.compose.service": service}},
        "NetworkSettings": {"Ports": bound},
    }  # fmt: skip


class Docker:
    """Answers as docker 26 does."""

    def __init__(self, *found: dict[str, Any], error: str = "", log: str = "", publishes: str = "") -> None:
        self._found, self._error, self._log, self._publishes = found, error, log, publishes

    def run(self, *words: str, **_: object) -> str:
        match words[0]:
            case "ps":
                return self._publishes if "{{.Names}}" in words else " ".join(one["Id"] for one in self._found)
            case "inspect":
                return f"{self._error}\n" if "--format" in words else json.dumps(self._found)
            case _:
                return self._log


def device(docker: Docker, place: Any = None) -> Any:
    return SimpleNamespace(engine=docker, settings=SimpleNamespace(project="visant"), place=place)


def test_a_service_that_restarts_is_shown_with_its_last_error() -> None:
    here = device(Docker(container("uploader", "restarting", 7), log=LOG))
    assert why.reasons(here) == {"uploader": "[ERROR] UPLOAD_TIMEOUT='30s' is not valid (a number): seconds, 1 to 600"}


def test_also_in_the_moment_in_which_it_is_up_again() -> None:
    assert why.reasons(device(Docker(container("uploader", "running", 7), log=LOG)))["uploader"].startswith("[ERROR]")


def test_an_error_counts_more_than_a_newer_line() -> None:
    assert why.last_word('{"level": "error", "event": "a"}\n{"level": "info", "event": "b"}\n').endswith('"a"}')
    assert why.last_word("[INFO] all is well\n") == "[INFO] all is well"
    assert why.last_word("") == ""
    assert why.reasons(device(Docker(container("redis", "exited"), log="[INFO] x\n"))) == {"redis": "[INFO] x"}
    assert why.reasons(device(Docker(container("redis", "exited"), log=""))) == {}


def test_a_service_that_starts_for_the_first_time_has_no_reason() -> None:
    assert why.reasons(device(Docker(container("uploader", "running"), log=LOG))) == {}


def test_a_taken_port_is_named_with_who_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    listening = 'LISTEN 0 511 127.0.0.1:18080 0.0.0.0:* users:(("nginx",pid=812,fd=6),("nginx",pid=813,fd=6))'
    monkeypatch.setattr(why, "ask", lambda *_, **__: listening)
    here = device(Docker(container("camera", "created"), error=TAKEN))
    assert why.reasons(here)["camera"].startswith("port 18080 is taken by nginx (process 812) (driver failed")
    here = device(Docker(container("camera", "created"), error=TAKEN, publishes="grafana\n"))
    assert why.reasons(here)["camera"].startswith("port 18080 is taken by the container grafana (")
    allocated = "driver failed: Bind for 127.0.0.1:18080 failed: port is already allocated"
    monkeypatch.setattr(why, "ask", lambda *_, **__: None)
    here = device(Docker(container("camera", "created"), error=allocated))
    assert why.reasons(here)["camera"].startswith("port 18080 is taken (driver failed")


def test_ss_of_this_machine_is_understood() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        assert "(process " in why.holder(device(Docker()), one.getsockname()[1])


def test_the_doctor_says_it_with_the_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {
        "state": "wrong", "faults": ["uploader is restarting, none", "camera has no container"], "quarantined": [],
        "services": {"uploader": {"restarts": 7}},
    }  # fmt: skip
    monkeypatch.setattr(release, "status", lambda _: value)
    failed, warned = release.check(device(Docker(container("uploader", "restarting", 7), log=LOG)))
    said = "[ERROR] UPLOAD_TIMEOUT='30s' is not valid (a number): seconds, 1 to 600"
    assert failed.text == f"uploader is restarting, none: {said}; camera has no container"
    assert warned.text == f"restarted since its start: uploader 7 times: {said}"


def test_a_camera_that_is_shown_elsewhere_is_said_with_who_has_its_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, tmp_path / "log", tmp_path / "units")
    monkeypatch.delenv("CAMERA_PORT", raising=False)
    monkeypatch.setattr(why, "ask", lambda *_, **__: 'users:(("nginx",pid=812,fd=6))')
    [found] = camera.port(device(Docker(container("camera", "running", port=8081)), place))
    assert found.level == "WARN"
    assert found.text == "its page is at http://127.0.0.1:8081/: port 8080 is taken by nginx (process 812)"
    assert "CAMERA_PORT=8081" in found.remedy
    assert list(camera.port(device(Docker(container("camera", "running", port=8080)), place))) == []


REFERENCE = f"registry.example/visant/camera@sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ('Get "https://registry.example/v2/": dial tcp: lookup registry.example: no such host', Unreachable, "network"),
        ("manifest unknown", Refused, "does not have"),
        ("unauthorized: authentication required", Misconfigured, "visantctl login registry.example --username"),
        ("write /x: no space left on device", NoSpace, "free some space"),
    ],
)
def test_a_pull_that_failed_is_said_once_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, kind: type[Problem], words: str
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\necho 'Error response from daemon: {said}' >&2\nexit 1\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(EngineFailed) as raised:
        Engine().run("pull", "--quiet", REFERENCE)
    problem = images._explain(raised.value, REFERENCE)
    text = str(problem)
    assert isinstance(problem, kind)
    assert text.count(REFERENCE) == (0 if kind is NoSpace else 1)
    assert "Error response" not in text and "docker pull" not in text
    assert said in text and words in text
