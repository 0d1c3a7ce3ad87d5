"""One device of a test: a root folder, a Compose project of its own, and visantctl run as a technician would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.updates.shop import TREE, docker

SOAK = 5


@dataclass
class Host:
    """`/opt/visant` in a temporary folder."""

    root: Path
    project: str
    url: str
    signers: str
    channel: str = "stable"
    tree: Path = TREE
    """Whose visantctl makes the first installation."""
    enter: Sequence[str] = ()
    """Command that leads into the namespace of another Engine."""
    docker_host: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    more_environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "site").mkdir(parents=True)
        self.cloud(True)
        self.camera(True)
        (self.root / "allowed_signers").write_text(self.signers)
        self.configure()

    def configure(self, **changes: str) -> None:
        """Write .env.device."""
        self.settings |= changes
        values = {
            "DEVICE_ID": "TEST-1",
            "API_URL": "http://cloud.invalid",
            "UPDATE_URL": self.url,
            "UPDATE_CHANNEL": self.channel,
            "UPDATE_SOAK": str(SOAK),
            "UPDATE_SETTLE": "12",
            "UPDATE_WINDOW": "0",
            "UPDATE_IDLE_WAIT": "20",
            "UPDATE_MIN_FREE_BYTES": "100000000",
            "UPDATE_START_TIMEOUT": "60",
            **self.settings,
        }
        (self.root / ".env.device").write_text("".join(f"{key}={value}\n" for key, value in values.items()))

    def cloud(self, there: bool) -> None:
        """Whether the connector's stand-in has its stream."""
        self._flag("cloud", there)

    def camera(self, there: bool) -> None:
        """Whether the camera's stand-in has a camera."""
        self._flag("camera", there)

    def _flag(self, name: str, there: bool) -> None:
        file = self.root / "site" / name
        file.touch() if there else file.unlink(missing_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        extra = {
            "VISANT_ROOT": str(self.root), "VISANT_PROJECT": self.project,
            "VISANT_UPDATE_LOG": str(self.root / "update.log"), "VISANT_UNIT_DIR": str(self.root / "units"),
        }  # fmt: skip
        # INVOCATION_ID would make visantctl ask systemd to start its update unit.
        kept = {key: value for key, value in os.environ.items() if key != "INVOCATION_ID"}
        return {
            **kept,
            **extra,
            **self.more_environment,
            **({"DOCKER_HOST": self.docker_host} if self.docker_host else {}),
        }

    def start(self, *words: str, kill_at: str = "") -> subprocess.Popen[str]:
        """visantctl of the release that is current, or of the tree at a first installation."""
        installed = self.root / "current/deployment/bin/visantctl"
        script = installed if installed.exists() else self.tree / "deployment/bin/visantctl"
        return subprocess.Popen(
            [*self.enter, sys.executable, str(script), *words],
            env={**self.environment, "VISANT_KILL_AT": kill_at},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def ctl(self, *words: str, kill_at: str = "", timeout: float = 240) -> tuple[int, str]:
        """(exit code, all output)."""
        process = self.start(*words, kill_at=kill_at)
        try:
            out, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
            raise AssertionError(f"visantctl {words} did not end within {timeout} s:\n{out}") from None
        print(f"$ visantctl {' '.join(words)} {'(killed at ' + kill_at + ')' if kill_at else ''}\n{out}")
        return process.returncode, out

    def update(self, *words: str, code: int = 0) -> str:
        """`visantctl update`, which must end with `code`."""
        got, out = self.ctl("update", *words)
        assert got == code, f"exit code {got}, expected {code}:\n{out}"
        return out

    def install(self, version: str, **changes: str) -> None:
        """Bring the device to a release that is known to be good, quickly."""
        self.configure(UPDATE_PIN=version, UPDATE_SOAK="1")
        self.update("--now", "--force")
        self.configure(**{"UPDATE_PIN": "", "UPDATE_SOAK": str(SOAK), **changes})
        assert self.status()["version"] == version

    def status(self) -> dict[str, Any]:
        code, out = self.ctl("status", "--json")
        value: dict[str, Any] = json.loads(out)
        assert (code == 0) == (value["state"] in ("ok", "starting", "updating")), out
        return value

    def history(self) -> list[dict[str, Any]]:
        code, out = self.ctl("history", "--json")
        assert code == 0
        events: list[dict[str, Any]] = json.loads(out)
        return events

    def quarantined(self) -> list[str]:
        return sorted(self.status()["quarantined"])

    def docker(self, *words: str) -> str:
        env = {"DOCKER_HOST": self.docker_host} if self.docker_host else {}
        return docker(*words, env=env)

    def containers(self, service: str) -> list[str]:
        """Ids of the service's containers; two for a moment while one replaces the other."""
        label = "label=com.docker.compose"
        filters = ("--filter", f"{label}.project={self.project}", "--filter", f"{label}.service={service}")
        return self.docker("ps", "--all", "--quiet", *filters).split()

    def container(self, service: str) -> str:
        """Id of the service's only container."""
        ids = self.containers(service)
        assert len(ids) == 1, f"{service} has {len(ids)} containers"
        return ids[0]

    def assert_runs(self, version: str) -> None:
        """Every service of `version`, healthy, nothing else, and `status` says so."""
        value = self.status()
        deadline = time.monotonic() + 30
        while value["state"] != "ok" and time.monotonic() < deadline:
            value = self.status()
        assert value["version"] == value["current"] == version, value
        assert value["pending"] is None
        assert value["faults"] == []
        images = {name: one["image"] for name, one in value["services"].items()}
        assert images == {name: f"visant/{name}:{version}" for name in ("camera", "connector", "redis", "uploader")}
        mine = self.docker(
            "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={self.project}"
        ).split()
        assert len(mine) == len(images), "a container without an owner"
        wanted = self.docker("image", "inspect", "--format", "{{.Id}}", *images.values()).split()
        assert sorted(self.docker("inspect", "--format", "{{.Image}}", *mine).split()) == sorted(wanted)
        told = json.loads((self.root / "shared/update.json").read_text())
        assert told["version"] == version

    def remove(self) -> None:
        """Containers, networks and volumes of this device."""
        names = self.docker(
            "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={self.project}"
        ).split()
        if names:
            self.docker("rm", "--force", "--volumes", *names)
        for kind in ("network", "volume"):
            found = self.docker(
                kind, "ls", "--quiet", "--filter", f"label=com.docker.compose.project={self.project}"
            ).split()
            if found:
                self.docker(kind, "rm", *found)


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.2)


def killed(code: int) -> bool:
    """A process that ended by SIGKILL, seen from its parent or through a shell."""
    return code in (-signal.SIGKILL, 128 + signal.SIGKILL)
