"""cloud/compose.yaml under a project name of its own, on free ports, with an authority of its own."""

import json
import os
import ssl
import uuid
from pathlib import Path
from typing import Any, Self

from tests.containers.stack import TREE, docker, wait_for

WORKERS = ("cloud-1", "cloud-2")
SERVICES = ("front", *WORKERS, "backup", "postgres", "redis")
BACKUPS = "/var/lib/visant/backups"
STANDIN = "visant-lab/caddy:trixie"


class CloudStack:
    """A context manager: containers, networks and volumes are gone afterwards."""

    def __init__(self, folder: Path) -> None:
        self.project = f"visant-operate-{uuid.uuid4().hex[:8]}"
        self._folder = folder
        self._env = {
            "CLOUD_NAME": "localhost",
            "CLOUD_TLS": "internal",
            "CLOUD_HTTP_PORT": "0",
            "CLOUD_HTTPS_PORT": "0",
        }
        self._files = [str(TREE / "cloud" / "compose.yaml")]
        if docker("images", "-q", STANDIN).strip():
            self._files.append(str(TREE / "tests/cloud_compose/standins/compose.yaml"))
        # what is waited for in a test is asked more often
        often = {name: {"healthcheck": {"interval": "1s"}} for name in SERVICES}
        overlay = folder / "overlay.json"
        overlay.write_text(json.dumps({"services": often}))
        self._files.append(str(overlay))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.compose("--profile", "restore", "down", "--volumes", "--timeout", "3", "--remove-orphans", check=False)

    def compose(self, *arguments: str, check: bool = True, env: dict[str, str] | None = None) -> str:
        """`docker compose ARGUMENTS` on this project; settings of this checkout are not its own."""
        files = [word for name in self._files for word in ("-f", name)]
        return docker(
            *("compose", "--env-file", os.devnull, "-p", self.project, *files, *arguments),
            check=check,
            env=self._env if env is None else env,
        )

    def up(self) -> None:
        """All of it, healthy. What was not built is an error: names of ours are never pulled."""
        self.compose("up", "-d", "--no-build", "--wait", "--wait-timeout", "120")

    def redeploy(self, worker: str) -> None:
        """As docs/operate/cloud.md says, with a new container even where the image is the same."""
        self.compose(
            "up", "-d", "--no-build", "--no-deps", "--force-recreate", "--wait", "--wait-timeout", "90", worker
        )

    def crash(self, service: str) -> None:
        """SIGKILL to the first process, as a fault would; after `docker kill` the Engine would not start it again."""
        pid = json.loads(docker("inspect", self.container(service)))[0]["State"]["Pid"]
        os.kill(pid, 9)

    def healthy(self, service: str) -> None:
        """Waits for it."""

        def told() -> bool:
            state = json.loads(docker("inspect", self.container(service)))[0]["State"]
            return bool(state["Status"] == "running" and state["Health"]["Status"] == "healthy")

        wait_for(f"{service} is healthy", told, seconds=90)

    def command(self, service: str, *words: str) -> str:
        """What `visant-cloud WORDS` prints in a running container."""
        return self.compose("exec", "-T", service, "visant-cloud", *words).strip()

    def container(self, service: str) -> str:
        return f"{self.project}-{service}-1"

    def config(self) -> dict[str, Any]:
        """What Compose makes of the files."""
        return dict(json.loads(self.compose("--profile", "restore", "config", "--format", "json")))

    def inspect(self, service: str) -> dict[str, Any]:
        return dict(json.loads(docker("inspect", self.container(service)))[0])

    def port(self, service_port: int = 443) -> int:
        return int(self.compose("port", "front", str(service_port)).rpartition(":")[2])

    def authority(self) -> Path:
        """The certificate of Caddy's own authority, as a site would hand it to devices."""
        file = self._folder / "root.crt"
        self.compose("cp", "front:/data/caddy/pki/authorities/local/root.crt", str(file))
        return file

    def tls(self) -> ssl.SSLContext:
        """Trusts that authority and no other."""
        return ssl.create_default_context(cafile=str(self.authority()))
