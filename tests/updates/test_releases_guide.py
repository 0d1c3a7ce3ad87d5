"""docs/operate/releases.md and README's three ways, each command as it stands there: from a fork to a picture."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from release.images import SERVICES

from tests.updates.conftest import numbered
from tests.updates.fork import AUTHOR, Fork, copy_of_the_tree, sections
from tests.updates.host import Host, wait_for
from tests.updates.registry import PASSWORD, USER, registry
from tests.updates.shop import PRODUCT, TREE, Shop, docker
from tests.updates.test_from_release_before import StrictCloud
from tests.updates.wire import Website

pytestmark = pytest.mark.long
GUIDE = sections("docs/operate/releases.md")
KEY, VERSION, FILE, SERVED = list(GUIDE)[:4]
BY_HAND = sections("README.md")["On a Raspberry Pi"]
BUILT, LOADED, PULLED = BY_HAND[:1], BY_HAND[1:3], BY_HAND[3:]
FIRST, SECOND = numbered(91), numbered(92)
ARCH = docker("version", "--format", "{{.Server.Arch}}")
LOGIN = "docker login registry.example"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Releases:
    """FIRST as a file, SECOND in a registry and as a file, made by the guide in a fork."""

    fork: Fork
    address: str
    """Of the registry, which asks for USER and PASSWORD."""

    @property
    def dist(self) -> Path:
        return self.fork.folder / "dist"

    def archive(self, version: str) -> Path:
        return self.dist / version / f"visant-{version}-{ARCH}.tar"


@pytest.fixture(scope="module")
def releases(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Releases]:
    folder = tmp_path_factory.mktemp("fork")
    origin = copy_of_the_tree(folder / "origin/visant-edge")
    address = f"127.0.0.1:{free_port()}"
    same_thing = {
        "https://git.example/you/visant-edge": str(origin),
        "2.0.1": FIRST,
        "PLATFORM=linux/arm64": f"PLATFORM=linux/{ARCH}",
        "make release IMAGES": f"make release PLATFORM=linux/{ARCH} IMAGES",
        "-arm64.tar": f"-{ARCH}.tar",
        "registry.example/you": f"{address}/{shop.run}",
        LOGIN: f"docker login --username {USER} --password-stdin {address}",
    }
    environment = {
        **os.environ, **AUTHOR, "XDG_CONFIG_HOME": str(folder / "config"), "DOCKER_CONFIG": str(folder / "docker"),
    }  # fmt: skip
    before = {service: docker("images", "--quiet", f"visant/{service}:{PRODUCT}") for service in SERVICES}
    fork = Fork(folder, environment, same_thing)
    clone, *rest = GUIDE[KEY]
    fork.type(clone)
    fork.folder = folder / "visant-edge"
    for command in (*rest, *GUIDE[VERSION], *GUIDE[FILE]):
        fork.type(command)
    same_thing["2.0.1"] = SECOND
    (folder / "registry").mkdir()
    with registry(folder / "registry/data", folder / "registry", address, private=True):
        for command in (*GUIDE[VERSION], *(one for one in GUIDE[SERVED] if not one.startswith("sudo "))):
            fork.type(command, typed=PASSWORD if command == LOGIN else "")
        yield Releases(fork, address)
    after = {service: docker("images", "--quiet", f"visant/{service}:{PRODUCT}") for service in SERVICES}
    assert after == before, "this machine's own images are what they were"


class Camera:
    """A picture in place of a webcam, in a Compose file of the site."""

    def __init__(self, folder: Path) -> None:
        Image.new("RGB", (640, 480), (200, 30, 30)).save(folder / "picture.jpg")
        volume = {"type": "bind", "source": str(folder / "picture.jpg"), "target": "/picture.jpg", "read_only": True}
        often = {name: {"healthcheck": {"interval": "1s"}} for name in SERVICES}  # `up --wait` asks it
        often["camera"]["volumes"] = [volume]  # type: ignore[assignment]
        (folder / "compose.override.yaml").write_text(json.dumps({"services": often}))


def first_picture(cloud: StrictCloud) -> None:
    """From a command to a picture."""
    cloud.new_stream()
    (trigger,) = cloud.trigger(1)
    wait_for(lambda: trigger in cloud.received, 60, "the picture")


def test_the_guide_leads_from_a_fork_to_a_device_and_its_next_release(releases: Releases, tmp_path: Path) -> None:
    site = Website(releases.dist)
    root = tmp_path / "device"
    with StrictCloud("9b2f6c1d40e84d3f") as cloud:
        device = Host(
            root=root, project=f"vg{os.getpid()}", url="", tree=releases.fork.folder,
            signers=(releases.fork.folder / "card/deployment/allowed_signers").read_text(),
        )  # fmt: skip
        try:
            Camera(root)
            (root / "secrets").mkdir()
            device.configure(
                DEVICE_ID="FLOOR1", API_URL=cloud.url, NO_PROXY="*", CAMERA_SOURCE="/picture.jpg",
                CAMERA_PORT=str(free_port()), UPDATE_IDLE_WAIT="1", UPDATE_START_TIMEOUT="120",
            )  # fmt: skip
            device.update("--now", "--from", str(releases.archive(FIRST)))
            device.assert_runs(FIRST)
            first_picture(cloud)
            told = docker("exec", device.container("uploader"), "visant-uploader", "version")
            assert told == f"visant-uploader {FIRST}"

            login = [f"{root}/current/deployment/bin/visantctl", "login", releases.address, "--username", USER]
            subprocess.run(login, input=PASSWORD, env=device.environment, text=True, check=True)
            forget(releases)
            configure, update = (one for one in GUIDE[SERVED] if one.startswith("sudo "))
            words = configure.replace("https://releases.example/visant", site.url).split()[2:]
            code, said = device.ctl(*words)
            assert code == 0, said
            assert device.ctl(*update.split()[2:], "--force")[0] == 0  # whatever part of the fleet it is
            device.assert_runs(SECOND)
            first_picture(cloud)
        finally:
            device.remove()
            site.down()


def forget(releases: Releases) -> None:
    """SECOND's images leave this machine, by all their names: what runs them next has pulled them."""
    for name in [f"{releases.address}/*/*", *(f"visant/{service}:{SECOND}*" for service in SERVICES)]:
        if ids := docker("images", "--quiet", "--no-trunc", "--filter", f"reference={name}").split():
            docker("rmi", "--force", *set(ids))


def references(releases: Releases) -> list[str]:
    """How SECOND names its images."""
    manifest = json.loads((releases.dist / SECOND / "release.json").read_text())
    return [one["reference"] for one in manifest["images"].values()]


@pytest.mark.parametrize("way", [PULLED, LOADED, BUILT], ids=["pulled", "loaded", "built"])
def test_by_hand_a_clone_comes_to_a_picture(way: list[str], releases: Releases, tmp_path: Path) -> None:
    assert len(BY_HAND) == 4
    forget(releases)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(releases.fork.folder), str(clone)], check=True)
    shutil.copy(releases.archive(SECOND), clone)
    Camera(clone)
    spool = tmp_path / "spool"
    spool.mkdir()
    os.chown(spool, 10001, 10001)
    settings = subprocess.run([str(TREE / "lab/env.sh")], check=True, capture_output=True, text=True).stdout
    bases = dict(line.removeprefix("export ").split("=", 1) for line in settings.splitlines())
    environment = {**releases.fork.environment, **bases, "COMPOSE_PROJECT_NAME": f"vh{os.getpid()}"}
    hand = Fork(clone, environment, {PRODUCT: SECOND, "-arm64.tar": f"-{ARCH}.tar", "-arm64.": f"-{ARCH}."})
    port = free_port()
    with StrictCloud("9b2f6c1d40e84d3f") as cloud:
        try:
            hand.type("install -m 600 .env.device.example .env.device")
            edited = {
                "DEVICE_ID": "FLOOR1", "API_URL": cloud.url, "CAMERA_SOURCE": "/picture.jpg", "CAMERA_PORT": port,
                "NO_PROXY": "'*'", "VISANT_SPOOL": spool,
            }  # fmt: skip
            if way == PULLED:
                edited["VISANT_IMAGES"] = f"{releases.address}/{references(releases)[0].split('/')[1]}"
            with (clone / ".env.device").open("a") as file:
                file.writelines(f"{key}={value}\n" for key, value in edited.items())
            for command in way:
                hand.type(command)
            first_picture(cloud)
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).close()
            assert (spool / "outbox").is_dir()
        finally:
            hand.type("docker compose down --volumes --timeout 5")
