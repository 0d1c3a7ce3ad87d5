"""compose.yaml as a technician uses it: copy the example, edit the first lines, `up --wait`, press Trigger."""

import json
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.containers.stack import TREE, docker, wait_for
from tests.support.product import VERSION

ENV = {"CAMERA_PORT": "0"}


class Cloud:
    """A cloud container that asks for tokens, on the device's uplink."""

    def __init__(self, name: str, network: str) -> None:
        self.name = name
        options = ("--read-only", "--tmpfs", "/tmp", "--tmpfs", "/var/lib/visant/cloud:uid=10001")
        where = ("--network", network, "--network-alias", "cloud", "-p", "127.0.0.1:0:8000")
        data = ("-e", "DATA_DIR=/var/lib/visant/cloud")
        docker("run", "-d", "--name", name, *options, *where, *data, f"visant/cloud:{VERSION}")
        self.url = "http://" + docker("port", name, "8000").split()[0]
        wait_for("the cloud answers", self._answers, seconds=60)
        self._token = self.command("create-token")

    def _answers(self) -> bool:
        try:
            return bool(urllib.request.urlopen(self.url + "/healthz", timeout=2).status == 200)
        except OSError:
            return False

    def command(self, *words: str) -> str:
        return docker("exec", self.name, "visant-cloud", *words).strip()

    def ask(self, method: str, path: str) -> Any:
        request = urllib.request.Request(self.url + path, method=method)
        request.add_header("Authorization", f"Bearer {self._token}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def outcome(self, device_id: str) -> dict[str, Any]:
        """Fires one trigger and waits for what becomes of it."""
        trigger = self.ask("POST", f"/v1/devices/{device_id}/trigger")["trigger_id"]

        def ended() -> dict[str, Any] | None:
            rows = self.ask("GET", f"/v1/devices/{device_id}/triggers")["triggers"]
            row: dict[str, Any]
            (row,) = [row for row in rows if row["trigger_id"] == trigger]
            return row if row["status"] not in ("pending", "sent") else None

        return wait_for("the trigger has an outcome", ended, seconds=60)


class Device:
    """A folder as /opt/visant is: compose.yaml, .env.device, secrets/."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = f"visant-device-{uuid.uuid4().hex[:6]}"
        (folder / "compose.yaml").write_text((TREE / "compose.yaml").read_text())
        (folder / "secrets").mkdir()
        (folder / "shared").mkdir()
        self.fake_camera(True)

    def fake_camera(self, yes: bool) -> None:
        """Whether the camera's image is the one that can emulate a camera, or the Pi's own."""
        override = self.folder / "compose.override.yaml"
        camera = {"image": f"visant/camera-emulation:{VERSION}"} if yes else {}
        override.write_text(json.dumps({"services": {"camera": camera}}))

    def settings(self, **values: str) -> None:
        """.env.device from the example, with these lines edited."""
        lines = []
        for line in (TREE / ".env.device.example").read_text().splitlines():
            key = line.lstrip("#").partition("=")[0]
            lines.append(f"{key}={values.pop(key)}" if key in values else line)
        assert not values, f"the example lacks {values}"
        (self.folder / ".env.device").write_text("\n".join(lines) + "\n")

    def token(self, token: str) -> None:
        """As the installer leaves it: root's, readable for the services' group."""
        path = self.folder / "secrets" / "device_token"
        path.write_text(token + "\n")
        docker_owned(path)

    def compose(self, *words: str, check: bool = True) -> str:
        where = ("--project-directory", str(self.folder), "--env-file", str(self.folder / ".env.device"))
        return docker("compose", "-p", self.project, *where, *words, check=check, env=ENV)

    def logs(self, service: str) -> list[str]:
        """What it has printed, line by line."""
        printed = self.compose("logs", "--no-color", "--no-log-prefix", service)
        return printed.replace("\x1b[2K", "").splitlines()  # Compose 2.26 erases a line that is not there

    def up(self) -> None:
        self.compose("up", "-d", "--wait", "--wait-timeout", "120", "--pull", "never")

    def state(self, service: str) -> dict[str, Any]:
        return dict(json.loads(docker("inspect", f"{self.project}-{service}-1"))[0])


def docker_owned(path: Path) -> None:
    """root:10001 0640, by way of a container, so that no test needs root for it."""
    mount = f"{path.parent}:/secrets"
    shell = f"chown 0:10001 /secrets/{path.name} && chmod 640 /secrets/{path.name}"
    docker("run", "--rm", "-u", "0", "-v", mount, "--entrypoint", "sh", f"visant/redis:{VERSION}", "-c", shell)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path)
    yield made
    docker("rm", "-f", "-v", f"{made.project}-cloud", check=False)
    made.compose("down", "--volumes", "--timeout", "3", check=False)


@pytest.fixture
def cloud(device: Device) -> Cloud:
    device.settings(DEVICE_ID="FLOOR1", API_URL="http://cloud:8000", CAMERA_SOURCE="fake")
    device.compose("create", "--pull", "never")  # makes the networks
    return Cloud(f"{device.project}-cloud", f"{device.project}_uplink")


def test_a_device_with_a_token_file_stores_a_picture_and_an_absent_camera_is_named(
    device: Device, cloud: Cloud
) -> None:
    token = cloud.command("create-device", "FLOOR1")
    device.token(token)
    device.settings(
        DEVICE_ID="FLOOR1",
        API_URL="http://cloud:8000",
        DEVICE_TOKEN_FILE="/run/secrets/device_token",
        CAMERA_SOURCE="fake",
        CAPTURE_PATIENCE="3",
    )
    device.up()
    stored = cloud.outcome("FLOOR1")
    assert (stored["status"], stored["reason"]) == ("executed", None)
    assert cloud.ask("GET", "/v1/devices/FLOOR1")["device_version"] == VERSION  # what its page shows
    (capture,) = cloud.ask("GET", "/v1/captures?device_id=FLOOR1")["captures"]
    assert capture["metadata"]["device_version"] == VERSION
    for service in ("connector", "uploader"):
        assert token not in json.dumps(device.state(service)), "docker inspect does not show the token"

    edited = (device.folder / ".env.device").read_text().replace("CAMERA_SOURCE=fake", "CAMERA_SOURCE=/dev/video77")
    (device.folder / ".env.device").write_text(edited)
    device.fake_camera(False)
    device.up()  # no camera is degraded, not unhealthy
    failed = cloud.outcome("FLOOR1")
    assert (failed["status"], failed["reason"]) == ("failed", "camera_absent")
    for service in ("redis", "camera", "connector", "uploader"):
        state = device.state(service)
        assert state["State"]["Health"]["Status"] == "healthy"
        assert state["RestartCount"] == 0
    health = docker("exec", f"{device.project}-camera-1", "visant-camera", "health")
    assert health.startswith("degraded: ")


def test_a_device_with_its_token_in_the_settings_says_the_lines_a_technician_waits_for(
    device: Device, cloud: Cloud
) -> None:
    device.settings(
        DEVICE_ID="FLOOR1",
        API_URL="http://cloud:8000",
        DEVICE_TOKEN=cloud.command("create-device", "FLOOR1"),
        CAMERA_SOURCE="fake",
    )
    device.up()
    wait_for("the stream is confirmed", lambda: any("confirmed" in line for line in device.logs("connector")))
    lines = [line for line in device.logs("connector") if line.startswith("[INFO] ")]
    assert lines[:4] == [
        "[INFO] Visant Device Client v2.0 - Cloud-Triggered Architecture",
        "[INFO] Device ID: FLOOR1",
        "[INFO] API URL: http://cloud:8000",
        "[INFO] Connecting to command stream...",
    ]
    assert "[INFO] ✓ Connected to command stream" in lines
    assert "[INFO] ✓ Connection confirmed by server" in lines
    assert cloud.outcome("FLOOR1")["status"] == "executed"

    begun = time.monotonic()
    device.compose("stop")
    assert time.monotonic() - begun < 25, "everything ends when it is told"
    for service in ("redis", "camera", "connector", "uploader"):
        assert device.state(service)["State"]["ExitCode"] == 0, service


def test_the_camera_answers_on_the_device_itself_and_nowhere_else(device: Device) -> None:
    device.settings(DEVICE_ID="FLOOR1", API_URL="http://127.0.0.1:9", CAMERA_SOURCE="fake")
    device.up()
    address = device.compose("port", "camera", "8080").strip()
    assert address.startswith("127.0.0.1:")
    with urllib.request.urlopen(f"http://{address}/snapshot", timeout=10) as answer:
        assert answer.read(2) == b"\xff\xd8"
    assert (
        docker("ps", "--filter", f"label=com.docker.compose.project={device.project}", "--format", "{{.Ports}}").count(
            "->"
        )
        == 1
    )


def test_the_pis_image_has_no_fake_camera_and_says_so_in_one_line(device: Device) -> None:
    image = f"visant/camera:{VERSION}"
    find = ("run", "--rm", "--entrypoint", "find", image, "/app", "-path", "*fake*", "-name", "*.py")
    assert docker(*find) == ""
    device.settings(DEVICE_ID="FLOOR1", API_URL="http://127.0.0.1:9", CAMERA_SOURCE="fake")
    device.fake_camera(False)
    device.compose("up", "-d", "--no-deps", "--pull", "never", "camera")
    wait_for("it says what is missing", lambda: any("CAMERA_SOURCE" in line for line in device.logs("camera")))
    said = device.logs("camera")
    assert not any("Traceback" in line for line in said), said
    # Once for each start of the container.
    assert len({line for line in said if "[ERROR]" in line}) == 1, said


def test_without_settings_compose_names_the_missing_file(device: Device) -> None:
    with pytest.raises(AssertionError, match=r"\.env\.device"):
        device.compose("up", "-d", "--pull", "never")
