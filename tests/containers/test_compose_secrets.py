"""What one service is told is not told to the others: every setting of `.env.device` is walked, by a plain Compose."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.containers.stack import TREE, Stack, docker
from visant_contract.env_keys import KNOWN

SECRETS_OF = {
    "camera": {"CAMERA_SOURCE"},
    "connector": {"DEVICE_TOKEN", "DEVICE_TOKEN_FILE", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"},
    "uploader": {"DEVICE_TOKEN", "DEVICE_TOKEN_FILE", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"},
    "redis": set[str](),
}
"""Of the settings that are a secret or may hold one, those that a service needs."""
SECRETS = set[str]().union(*SECRETS_OF.values()) | {"UPDATE_URL"}
OF_THE_WAY_OUT = {"DEVICE_ID", "API_URL", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"}


@pytest.fixture(scope="module", params=[str.upper, str.lower], ids=["CAPITALS", "small"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Service to its environment, where `.env.device` sets every key that there is."""
    folder = tmp_path_factory.mktemp("device")
    (folder / "compose.yaml").write_text((TREE / "compose.yaml").read_text())
    # for Compose itself, and no secrets
    for_compose = {key for key in KNOWN if key.startswith("VISANT_") or key in ("CAMERA_PORT", "VIDEO_GID")}
    lines = [f"{request.param(key)}=zqk-{key.lower()}" for key in sorted(KNOWN - for_compose)]
    (folder / ".env.device").write_text("\n".join(lines) + "\n")
    found: dict[str, Any] = json.loads(
        docker("compose", "--project-directory", str(folder), "config", "--format", "json")
    )
    return {name: one.get("environment", {}) for name, one in found["services"].items()}


@pytest.mark.parametrize("service", SECRETS_OF)
def test_a_service_is_told_no_secret_that_it_has_no_use_for(told: dict[str, dict[str, str]], service: str) -> None:
    given = {key.upper() for key, value in told[service].items() if value.startswith("zqk-")}
    assert given & SECRETS <= SECRETS_OF[service]
    if service != "redis":
        assert given >= SECRETS_OF[service], "what it needs, it has"
        assert "LOG_LEVEL" in given


def test_the_camera_does_not_know_the_cloud(told: dict[str, dict[str, str]]) -> None:
    given = {key for key, value in told["camera"].items() if value.startswith("zqk-")}
    assert not given & OF_THE_WAY_OUT
    assert "REDIS_URL" not in {key.upper() for key in given}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("running")) as stack:
        stack.up()
        yield stack


def test_from_inside_each_container_the_others_are_out_of_reach(running: Stack) -> None:
    """Each tries the others by name and by address, on the ports that anything here listens on; and each socket."""
    addresses = {}
    for name in ("redis", "camera", "connector", "uploader"):
        networks = running.inspect(name)["NetworkSettings"]["Networks"]
        addresses[name] = [one["IPAddress"] for one in networks.values() if one["IPAddress"]]
    code = """
import json, socket, sys
reached = []
for name, places in json.loads(sys.argv[1]).items():
    for place in (name, *places):
        for port in (6379, 8080):
            try:
                socket.create_connection((place, port), 1).close()
                reached.append(f"{name}:{port}")
            except OSError:
                pass
for path in ("/run/redis/redis.sock", "/run/camera/camera.sock"):
    one = socket.socket(socket.AF_UNIX)
    try:
        one.connect(path)
        reached.append(path)
    except OSError:
        pass
print(json.dumps(sorted(set(reached))))"""
    may = {
        "camera": ["/run/camera/camera.sock", "camera:8080"],
        "connector": ["/run/redis/redis.sock"],
        "uploader": ["/run/camera/camera.sock", "/run/redis/redis.sock"],
    }
    for service, allowed in may.items():
        said = docker("exec", running.container(service), "python3", "-c", code, json.dumps(addresses))
        assert json.loads(said) == allowed, service
    assert addresses["redis"] == []
