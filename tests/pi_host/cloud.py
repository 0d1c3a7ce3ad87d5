"""The cloud that the Pi-like hosts talk to."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from tests.pi_host.pi import LABEL
from tests.pi_host.release import PRODUCT, docker
from tests.pi_host.wait import wait_for


@dataclass
class Cloud:
    """A real cloud on the same network, asked as an operator's program would."""

    name: str
    network: str
    run_label: str
    token: str = ""

    def create(self) -> None:
        """Start it and make a token for `ask`."""
        docker(
            "run",
            "--detach",
            f"--name={self.name}",
            f"--network={self.network}",
            f"--label={LABEL}={self.run_label}",
            "--env=PORT=8000",
            "--env=DATA_DIR=/var/lib/visant/cloud",
            "--publish=127.0.0.1::8000",
            f"visant/cloud:{PRODUCT}",
        )
        wait_for(
            lambda: docker("inspect", "--format", "{{.State.Health.Status}}", self.name) == "healthy", 240, "the cloud"
        )
        self.token = self.run("create-token", "tests").splitlines()[-1]

    def run(self, *words: str) -> str:
        """visant-cloud WORDS, beside the running one; standard output."""
        return docker("exec", self.name, "visant-cloud", *words)

    @property
    def url(self) -> str:
        """As a device sees it."""
        address = docker(
            "inspect", "--format", f'{{{{(index .NetworkSettings.Networks "{self.network}").IPAddress}}}}', self.name
        )
        return f"http://{address}:8000"

    @property
    def _here(self) -> str:
        port = docker("port", self.name, "8000/tcp").splitlines()[0].rsplit(":", 1)[1]
        return f"http://127.0.0.1:{port}"

    def ask(self, path: str, method: str = "GET", body: dict[str, Any] | None = None) -> Any:
        """The JSON answer of its API."""
        request = urllib.request.Request(
            f"{self._here}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def enrol_code(self, device: str, *flags: str) -> str:
        """A fresh code for this device."""
        return self.run("enrol-code", "--device-id", device, *flags).splitlines()[-1]

    def status_for(self, device: str, token: str) -> int:
        """What the cloud answers a report of this device under this token."""
        request = urllib.request.Request(
            f"{self._here}/v1/devices/{device}/telemetry",
            b'{"device_version": "2.0.0"}',
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def connected(self) -> list[str]:
        """Ids of the devices that hold a stream."""
        return [one["device_id"] for one in self.ask("/v1/devices/connected")["devices"]]

    def trigger(self, device: str) -> str:
        """The new trigger's id."""
        return str(self.ask(f"/v1/devices/{device}/trigger", "POST", {})["trigger_id"])

    def remove(self) -> None:
        """It and its pictures."""
        docker("rm", "--force", "--volumes", self.name, check=False)
