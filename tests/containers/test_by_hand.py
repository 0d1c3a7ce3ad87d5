"""What `docker compose` does by hand, in a clone: it pulls nothing unless told to, and its own settings count."""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.stack import DEVICE, TREE


class Stranger:
    """A registry of somebody else: counts who asks, and answers nobody."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                self._listener.accept()[0].close()
            except OSError:
                return
            self.asked += 1

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    made = Stranger()
    yield made
    made.close()


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """What Compose reads of a clone, links as they are. What it made is taken away: each network left behind holds
    addresses, of which an Engine has thirty ranges."""
    for name in ("compose.yaml", ".env", ".env.device.example"):
        shutil.copy2(TREE / name, tmp_path / name, follow_symlinks=False)
    (tmp_path / "deployment").mkdir()
    shutil.copy2(TREE / "deployment/.env.device.example", tmp_path / "deployment")
    shutil.copy(tmp_path / ".env.device.example", tmp_path / ".env.device")
    yield tmp_path
    compose(tmp_path, "down", "--volumes", "--timeout", "1")


def compose(clone: Path, *words: str, **settings: str) -> tuple[int, str]:
    """(exit code, all that `docker compose WORDS` said there)."""
    with (clone / ".env.device").open("a") as file:
        file.writelines(f"{key}={value}\n" for key, value in settings.items())
    kept = {key: value for key, value in os.environ.items() if key not in settings and not key.startswith("COMPOSE_")}
    done = subprocess.run(
        ["docker", "compose", "--project-name", f"visant-hand-{os.getpid()}", *words],
        cwd=clone, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize("words", [("up", "-d", "--no-build"), ("create", "--no-build"), ("pull",)], ids=" ".join)
def test_nothing_of_ours_is_pulled_by_a_name_that_could_be_anybodys(
    clone: Path, stranger: Stranger, words: tuple[str, ...]
) -> None:
    compose(clone, *words, VISANT_IMAGES=f"{stranger.address}/visant")
    assert stranger.asked == 0


def test_it_is_pulled_when_it_is_asked_for(clone: Path, stranger: Stranger) -> None:
    code, said = compose(
        clone, "up", "-d", "--pull", "always", "--no-build", VISANT_IMAGES=f"{stranger.address}/visant"
    )
    assert code != 0, said
    assert stranger.asked > 0


def test_settings_that_compose_itself_reads_stand_in_env_device(clone: Path) -> None:
    settings = {
        "CAMERA_PORT": "18080", "VIDEO_GID": "4711", "VISANT_SPOOL": "/srv/spool", "REDIS_MAXMEMORY": "65mb",
        "VISANT_DEBUG_CAPTURES": "/srv/captures", "VISANT_VERSION": "9.8.7", "VISANT_IMAGES": "registry.example/you",
    }  # fmt: skip
    code, said = compose(clone, "config", **settings)
    assert code == 0, said
    for shown in ('published: "18080"', '- "4711"', "source: /srv/spool", "source: /srv/captures", "65mb"):
        assert shown in said
    for service in DEVICE:
        assert f"image: registry.example/you/{service}:9.8.7" in said


def test_without_env_device_it_says_what_is_missing(clone: Path) -> None:
    (clone / ".env.device").unlink()
    done = subprocess.run(["docker", "compose", "up"], cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert ".env.device not found" in done.stderr
