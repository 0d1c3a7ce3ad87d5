"""The services of one release as a Compose project."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visantctl.errors import EngineFailed, Misconfigured
from visantctl.host.engine import Engine
from visantctl.host.place import Place
from visantctl.network.neighbours import keep_out
from visantctl.releases import camera_port

LABEL = "com.docker.compose"
JOURNAL = Path("/run/systemd/journal/socket")
"""Where dockerd's log driver `journald` writes; systemd holds it, also while journald itself is restarted."""


ALIVE = ("running", "restarting", "unhealthy")
"""Of `states`: those in which there is a container that does something."""


@dataclass(frozen=True)
class Container:
    """What `docker inspect` says, as far as the updater cares."""

    service: str
    id: str
    image: str
    """Name, such as `visant/camera:1.2.0`."""
    image_id: str
    status: str
    """running, restarting, exited, created, paused or dead."""
    health: str
    """healthy, unhealthy, starting, or none without a healthcheck."""
    restarts: int
    started_at: str
    ports: tuple[tuple[int, str, int], ...]
    """Container port, host address, host port."""
    health_command: tuple[str, ...]
    """What the healthcheck runs inside; empty without one."""

    @property
    def starting(self) -> bool:
        """Running, and the first word of its healthcheck is still awaited."""
        return self.status == "running" and self.health == "starting"

    @property
    def well(self) -> bool:
        """Running, and healthy as far as it can tell."""
        return self.status == "running" and self.health in ("healthy", "none")


class Stack:
    """One release's Compose file, with the site's override and settings."""

    def __init__(self, engine: Engine, place: Place, project: str, version: str) -> None:
        self._engine = engine
        self._place = place
        self._project = project
        self._version = version
        self._file = place.release(version) / "compose.yaml"
        self._journal = self._file.parent / "deployment/compose.journal.yaml"
        self.arguments = self._arguments()

    def _arguments(self, *more: Path) -> list[str]:
        """The beginning of each command; `more`: files between the release's own and the site's, which is stronger."""
        override = [self._place.compose_override] if self._place.compose_override.is_file() else []
        words = ["compose", "--ansi", "never", "--project-name", self._project]
        words += ["--project-directory", str(self._place.root)]
        for file in (self._file, *more, *override):
            words += ["--file", str(file)]
        # Always named, so that a stray .env beside it never takes part.
        return [*words, "--env-file", str(self._place.env_file) if self._place.env_file.is_file() else "/dev/null"]

    @property
    def logs_to_journal(self) -> bool:
        """Whether a start has the services' lines in the host's journal: an Engine and a journal that take them, and
        a site whose own file says nothing about logs.
        """
        override = self._place.compose_override
        if not (JOURNAL.exists() and self._journal.is_file()):
            return False
        if override.is_file() and "logging:" in override.read_text(encoding="utf-8", errors="replace"):
            return False
        return "journald" in self._engine.run("info", "--format", "{{json .Plugins.Log}}")

    @property
    def environment(self) -> dict[str, str]:
        """What the Compose file interpolates: which version's tags to run."""
        return {"VISANT_VERSION": self._version, "VISANT_IMAGES": "visant"}

    def _compose(self, *arguments: str, timeout: float) -> str:
        return self._engine.run(*self.arguments, *arguments, timeout=timeout, env=self.environment)

    def _up(self, *arguments: str, timeout: float, meanwhile: Callable[[], None] | None = None) -> None:
        """Start or change what differs; never pulls, never builds."""
        words = self._arguments(*([self._journal] if self.logs_to_journal else []))
        env = {**self.environment, **self._free_port()}
        words += ["up", "--detach", "--pull", "never", "--no-build", "--remove-orphans", *arguments]
        self._engine.run(*words, timeout=timeout, env=env, meanwhile=meanwhile)
        keep_out(self._engine, self._project)

    def _free_port(self) -> dict[str, str]:
        """CAMERA_PORT for a start, stronger than the settings."""
        first = camera_port.wanted(self._place)
        if first is None:
            return {}
        camera = [one for one in containers(self._engine, self._project) if one.service == "camera"]
        held = [port for one in camera if one.status == "running" for _, _, port in one.ports]
        return {"CAMERA_PORT": str(camera_port.choose(first, held, camera_port.is_free))}

    def check(self) -> list[str]:
        """Names of the services; EngineFailed when the Compose file does not parse with this device's settings."""
        return self._compose("config", "--services", timeout=60).split()

    def images(self) -> list[str]:
        """Names of the images that the services run."""
        return self._compose("config", "--images", timeout=60).split()

    def up(self, wait: float, meanwhile: Callable[[], None] | None = None) -> None:
        """Start or change what differs and wait until all is healthy. Seconds.

        `meanwhile` may look at the containers and raise, which ends the waiting.
        """
        self._up("--wait", "--wait-timeout", str(int(wait)), timeout=wait + 120, meanwhile=meanwhile)

    def start(self) -> None:
        """Start without waiting for health."""
        self._up(timeout=300)

    def stop(self) -> None:
        """Stop in order, each within its grace period; what is stopped stays stopped at the next boot."""
        self._compose("stop", timeout=300)

    def restart(self, service: str) -> None:
        """The container of one service anew, within its grace period."""
        self._compose("restart", "--no-deps", service, timeout=120)

    def down(self) -> None:
        """Remove containers and networks, also where the Compose file is gone; volumes stay."""
        if self._file.is_file():
            self._compose("down", "--remove-orphans", timeout=300)
        else:
            self._engine.run("compose", "--project-name", self._project, "down", "--remove-orphans", timeout=300)

    def last_words(self, lines: int = 200) -> str:
        """The newest log lines of each service."""
        return self._compose("logs", "--no-color", "--timestamps", "--tail", str(lines), timeout=10)


def containers(engine: Engine, project: str) -> list[Container]:
    """Every container of the project, running or not."""
    for last in (False, False, True):
        ids = engine.run("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={LABEL}.project={project}").split()
        if not ids:
            return []
        try:
            found = json.loads(engine.run("inspect", *ids))
        except ValueError:
            raise Misconfigured("docker inspect did not answer with JSON: is this Docker's own command line?") from None
        except EngineFailed:  # one of them went away in between
            if last:
                raise
        else:
            return sorted((_container(value) for value in found), key=lambda one: one.service)
    raise AssertionError("not reached")


def states(engine: Engine, project: str) -> dict[str, str]:
    """Service to the state of its container (running, restarting, exited, created, ..., and unhealthy for one that runs
    and is): one cheap question."""
    form = f'{{{{.Label "{LABEL}.service"}}}}\t{{{{.State}}}}\t{{{{.Status}}}}'
    said = engine.run("ps", "--all", "--filter", f"label={LABEL}.project={project}", "--format", form)
    found = [line.split("\t") for line in said.splitlines() if line.count("\t") == 2]
    return {name: "unhealthy" if status.endswith("(unhealthy)") else state for name, state, status in found}


def any_running(engine: Engine, project: str) -> bool:
    """True while at least one container of the project runs."""
    return any(state in ALIVE for state in states(engine, project).values())


def _container(value: dict[str, Any]) -> Container:
    state, labels = value["State"], value["Config"].get("Labels") or {}
    ports = tuple(
        (int(inside.split("/")[0]), one.get("HostIp", ""), int(one["HostPort"]))
        for inside, bound in (value["NetworkSettings"].get("Ports") or {}).items()
        for one in bound or ()
        if one.get("HostPort")
    )
    return Container(
        service=labels.get(f"{LABEL}.service", ""),
        id=value["Id"],
        image=value["Config"]["Image"],
        image_id=value["Image"],
        status=state["Status"],
        health=(state.get("Health") or {}).get("Status", "none"),
        restarts=value.get("RestartCount", 0),
        started_at=state["StartedAt"],
        ports=ports,
        health_command=_command((value["Config"].get("Healthcheck") or {}).get("Test") or []),
    )


def _command(test: list[str]) -> tuple[str, ...]:
    if test[:1] == ["CMD"]:
        return tuple(test[1:])
    return ("sh", "-c", test[1]) if test[:1] == ["CMD-SHELL"] else ()
