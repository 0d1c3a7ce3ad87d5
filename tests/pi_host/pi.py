"""The Pi-like host of the tests and the cloud it talks to."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.pi_host.release import STATE, docker

IMAGE = f"visant-lab/pi-host:{os.environ.get('PI_HOST_SUITE', 'bookworm')}"
_LEFT_OUT = ("proc", "sys", "run", "dev", "tmp", "var/cache", "var/log", "var/lib/apt", "var/lib/dpkg", "var/tmp")
"""What apt, the kernel and the journal write by themselves."""


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The condition's first true value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {seconds:g} s")


@dataclass
class Done:
    """A command that has ended on the host."""

    code: int
    out: str


@dataclass
class Pi:
    """A container with systemd as process 1 and an Engine of its own."""

    name: str
    network: str
    env: dict[str, str] = field(default_factory=dict)

    def create(self) -> None:
        """First boot."""
        archives = STATE / "apt-archives"
        (archives / "partial").mkdir(parents=True, exist_ok=True)
        docker(
            "run",
            "--detach",
            "--name",
            self.name,
            "--hostname",
            "raspberrypi",
            "--network",
            self.network,
            "--cap-add",
            "ALL",
            "--security-opt",
            "seccomp=unconfined",
            "--security-opt",
            "systempaths=unconfined",
            "--security-opt",
            "apparmor=unconfined",
            "--device-cgroup-rule",
            "a *:* rwm",
            "--cgroupns=host",
            "--volume",
            "/sys/fs/cgroup:/sys/fs/cgroup:rw",
            "--tmpfs",
            "/run",
            "--tmpfs",
            "/run/lock",
            "--tmpfs",
            "/tmp",
            "--volume",
            f"{self.name}-docker:/var/lib/docker",
            "--volume",
            f"{archives}:/var/cache/apt/archives",
            "--stop-signal",
            "SIGRTMIN+3",
            IMAGE,
            "/sbin/init",
        )
        self.booted()
        bundle = Path("/etc/ssl/certs/ca-certificates.crt")
        if bundle.is_file():  # a site with an inspecting proxy has its CA on every host
            docker("cp", "--follow-link", str(bundle), f"{self.name}:/etc/ssl/certs/ca-certificates.crt")

    def booted(self) -> None:
        """systemd has started what it should."""
        wait_for(
            lambda: self.sh("systemctl is-system-running", check=False).out.strip() in ("running", "degraded"),
            120,
            "the host's boot",
        )

    def sh(self, script: str, *, check: bool = True, stdin: str | None = None, timeout: float = 400) -> Done:
        """Run on the host as root, without a terminal."""
        done = subprocess.run(
            ["docker", "exec", *(["--interactive"] if stdin is not None else []), self.name, "bash", "-c", script],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout,
        )
        assert done.returncode == 0 or not check, f"{script}: exit {done.returncode}\n{done.stdout}"
        return Done(done.returncode, done.stdout)

    def put(self, what: Path, to: str) -> None:
        """Copy a file or folder onto the host, as scp would."""
        docker("cp", str(what), f"{self.name}:{to}")

    def power_cut(self) -> None:
        """Everything stops in the middle."""
        docker("kill", self.name)

    def power_on(self) -> None:
        docker("start", self.name)
        self.booted()

    def files(self) -> set[str]:
        """Every path that an installation could leave behind."""
        pruned = " -o ".join(f"-path /{one}" for one in _LEFT_OUT)
        out = self.sh(f"find / -xdev \\( {pruned} -o -name __pycache__ \\) -prune -o -print").out
        return set(out.splitlines())

    def doctor(self) -> dict[str, Any]:
        """check -> the worst finding of it."""
        worst: dict[str, Any] = {}
        for one in json.loads(self.sh("visantctl doctor --json", check=False).out)["findings"]:
            before = worst.get(one["check"])
            if before is None or "PASS WARN FAIL".index(one["level"]) > "PASS WARN FAIL".index(before["level"]):
                worst[one["check"]] = one
        return worst

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.name, check=False)
        docker("volume", "rm", f"{self.name}-docker", check=False)


@dataclass
class Cloud:
    """A real cloud on the same network, asked as an operator's program would."""

    name: str
    network: str
    token: str = ""

    def create(self) -> None:
        docker(
            "run",
            "--detach",
            "--name",
            self.name,
            "--network",
            self.network,
            "--env",
            "PORT=8000",
            "--env",
            "DATA_DIR=/var/lib/visant/cloud",
            "--publish",
            "127.0.0.1::8000",
            "visant/cloud:2.0.0",
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

    def ask(self, path: str, method: str = "GET", body: dict[str, Any] | None = None) -> Any:
        port = docker("port", self.name, "8000/tcp").splitlines()[0].rsplit(":", 1)[1]
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def connected(self) -> list[str]:
        return [one["device_id"] for one in self.ask("/v1/devices/connected")["devices"]]

    def trigger(self, device: str) -> str:
        return str(self.ask(f"/v1/devices/{device}/trigger", "POST", {})["trigger_id"])

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.name, check=False)
