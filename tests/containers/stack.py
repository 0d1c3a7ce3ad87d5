"""The device's containers under a project name of their own, for one test."""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

TREE = Path(__file__).resolve().parents[2]
DEVICE = ("redis", "camera", "connector", "uploader")

T = TypeVar("T")


def docker(*arguments: str, stdin: str | None = None, check: bool = True, env: Mapping[str, str] | None = None) -> str:
    """What `docker ARGUMENTS` prints; raises AssertionError with its last words when it fails."""
    done = subprocess.run(
        ["docker", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=180,
        cwd=TREE,
        env={**os.environ, **(env or {})},
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"docker {' '.join(arguments[:6])} ... ended with {done.returncode}: {done.stderr[-1500:]}"
        )
    return done.stdout


def wait_for(what: str, probe: Callable[[], T | None], *, seconds: float = 30.0) -> T:
    """The first true value of `probe`; AssertionError when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:.0f} s: {what} (last: {found!r})")
        time.sleep(0.1)


class Stack:
    """compose.yaml with the emulation on top (it needs no .env.device) and, last, `overlays`.

    A context manager: containers, networks and volumes are gone afterwards. Host ports are free ones.
    """

    def __init__(self, folder: Path, *overlays: Mapping[str, Any]) -> None:
        self.project = f"visant-test-{uuid.uuid4().hex[:8]}"
        often = {"services": {name: {"healthcheck": {"interval": "1s"}} for name in DEVICE}}  # `up --wait` asks it
        self._files = ["compose.yaml", "compose.emulation.yaml"]
        for number, content in enumerate([often, *overlays]):
            named = folder / f"overlay-{number}.json"  # JSON is YAML
            named.write_text(json.dumps(content))
            self._files.append(str(named))
        self._env = {"CLOUD_PORT": "0", "CAMERA_PORT": "0"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.compose("down", "--volumes", "--timeout", "3", "--remove-orphans", check=False)

    def compose(self, *arguments: str, check: bool = True) -> str:
        """`docker compose ARGUMENTS` on this project."""
        files = [word for name in self._files for word in ("-f", name)]
        return docker(
            "compose", "--env-file", "/dev/null", "-p", self.project, *files, *arguments, check=check, env=self._env
        )

    def up(self, *services: str, wait: bool = True) -> None:
        """Starts `services`, and only them, from images that are there; waits until they are healthy."""
        waiting = ["--wait", "--wait-timeout", "90"] if wait else []
        self.compose("up", "-d", "--no-build", "--no-deps", *waiting, *services)

    def config(self) -> dict[str, Any]:
        """What Compose makes of the files."""
        return dict(json.loads(self.compose("config", "--format", "json")))

    def container(self, service: str) -> str:
        """The container's name."""
        return f"{self.project}-{service}-1"

    def inspect(self, service: str) -> dict[str, Any]:
        """`docker inspect` of the service's container."""
        return dict(json.loads(docker("inspect", self.container(service)))[0])

    def logs(self, service: str) -> str:
        """All that the service has printed."""
        return self.compose("logs", "--no-color", "--no-log-prefix", service)

    def python(self, service: str, code: str) -> str:
        """What `code` prints when the service's own Python runs it inside its container."""
        return docker("exec", "-i", self.container(service), "python3", "-", stdin=code).strip()

    def volume(self, name: str) -> str:
        """The full name of one of the project's volumes."""
        return f"{self.project}_{name}"
