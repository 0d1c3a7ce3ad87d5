"""Where the tests' releases are made: images in a real registry, manifests signed with a real key."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import product

TREE = product.TREE
PRODUCT = product.VERSION
"""Tag of the images that `make images` has built."""
STANDIN = Path(__file__).resolve().parent / "standin"
SERVICES = ("camera", "connector", "uploader")
REAL = {
    "redis": f"visant/redis:{PRODUCT}",
    "camera": f"visant/camera-emulation:{PRODUCT}",
    "connector": f"visant/connector:{PRODUCT}",
    "uploader": f"visant/uploader:{PRODUCT}",
}
"""This tree's services, with the fake camera."""


def docker(*words: str, env: Mapping[str, str] | None = None, timeout: float = 200) -> str:
    done = subprocess.run(
        ["docker", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
        timeout=timeout,
    )
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr or done.stdout}"
    return done.stdout.strip()


def new_key(folder: Path, name: str) -> Path:
    key = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)], check=True)
    return key


def signers(*keys: Path) -> str:
    """An allowed_signers file with these keys."""
    return "".join(
        f'{key.name}@visant.test namespaces="visant-release" {key.with_suffix(".pub").read_text()}' for key in keys
    )


@dataclass
class Shop:
    """Builds stand-in images, pushes them, and writes releases into `dist`."""

    folder: Path
    registry: str
    """host:port that the images are pushed to."""
    relay: str
    """host:port that the manifests name: devices reach the registry through what a test can cut."""
    redis_image: str
    """What the stand-ins are made from."""
    run: str
    """Distinguishes this run's images on a shared Engine."""
    key: Path
    standard: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Versions that `need` makes, with the arguments of `release`."""
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def dist(self) -> Path:
        return self.folder / "dist"

    def image(self, service: str, behaviour: str, payload: int = 0) -> str:
        """`registry/name@sha256:...` of a stand-in; `payload` random bytes make its layer that large."""
        tag = f"{self.registry}/{self.run}/{service}:{behaviour}-{payload}"
        if tag not in self.digests:
            if payload:
                self._add_layer(self._built(service, behaviour), tag, payload)
            else:
                docker("tag", self._built(service, behaviour), tag)
            self.digests[tag] = self.push(tag)
        return self.reference(tag)

    def push(self, tag: str) -> str:
        """Its digest."""
        return docker("push", tag, timeout=800).split("digest: ")[1].split()[0]

    def reference(self, tag: str) -> str:
        """How a manifest names a pushed image."""
        return f"{tag.replace(self.registry, self.relay).rsplit(':', 1)[0]}@{self.digests[tag]}"

    def _built(self, service: str, behaviour: str) -> str:
        name = f"{self.run}/{service}:{behaviour}"
        context = self.folder / "context"
        context.mkdir(exist_ok=True)
        for file in ("run.sh", "health.sh", "camera.pl", "collect.sh"):
            shutil.copy(STANDIN / file, context / file)
        text = (STANDIN / "Dockerfile").read_text()
        if behaviour == "no_start":
            text = text.replace('["/run.sh"]', '["/no/such/program"]')
        (context / "Dockerfile").write_text(text)
        build_args = {"REDIS_IMAGE": self.redis_image, "SERVICE": service, "BEHAVIOUR": behaviour}
        words = [word for key, value in build_args.items() for word in ("--build-arg", f"{key}={value}")]
        docker("build", "--quiet", *words, "--tag", name, str(context))
        return name

    def _add_layer(self, base: str, tag: str, size: int) -> None:
        # By commit and not by a build: a build's cache would keep the layer, and nothing would be pulled.
        payload = self.folder / "payload"
        payload.write_bytes(os.urandom(size))
        container = docker("create", base)
        docker("cp", str(payload), f"{container}:/payload")
        docker("commit", container, tag)
        docker("rm", container)

    def need(self, version: str) -> None:
        """Make a standard release unless it is there: a short run makes only what it uses."""
        if version in self.standard and not (self.dist / version / "release.json").exists():
            self.release(version, **self.standard[version])

    def release(
        self,
        version: str,
        behaviour: str = "ok",
        *,
        where: str = "",
        payload: int = 0,
        keys: tuple[Path, ...] = (),
        more: tuple[str, ...] = (),
    ) -> Path:
        """Build `dist/<version>/`; `behaviour` is that of the service named `where` (default: all three).

        The first of `keys` signs, all of them stand in the list that the release carries (default: the shop's key).
        """
        images = {
            service: self.image(service, behaviour if where in ("", service) else "ok", payload) for service in SERVICES
        }
        images["redis"] = self.image("redis", "ok")
        words = [word for service, reference in images.items() for word in ("--image", f"{service}={reference}")]
        self.build(version, *words, "--compose", str(STANDIN / "compose.yaml"), *more, keys=keys)
        return self.dist / version

    def real_release(
        self,
        version: str,
        images: Mapping[str, str] = REAL,
        *,
        more: tuple[str, ...] = ("--emulation",),
        tree: Path = TREE,
        **changed: tuple[str, ...],
    ) -> None:
        """These images and the tree's host files; `changed` are lines at the end of a service's Dockerfile."""
        references = {one: self._derived(image, version, *changed.get(one, ())) for one, image in images.items()}
        words = [word for one, reference in references.items() for word in ("--image", f"{one}={reference}")]
        self.build(version, *words, *more, tree=tree)

    def _derived(self, image: str, version: str, *lines: str) -> str:
        tag = f"{self.registry}/{self.run}/real-{image.split('/')[1].split(':')[0]}:{version}"
        text = "\n".join((f"FROM {image}", f"LABEL test.version={version}", *lines))
        subprocess.run(
            ["docker", "build", "--quiet", "--tag", tag, "-"], input=text, text=True, check=True, capture_output=True
        )
        self.digests[tag] = self.push(tag)
        return self.reference(tag)

    def build(self, version: str, *words: str, keys: tuple[Path, ...] = (), tree: Path = TREE) -> None:
        """make_release.py build, of the tree whose release it is."""
        known = self.folder / "allowed_signers"
        known.write_text(signers(*(keys or (self.key,))))
        self.make(
            "build", "--version", version, "--key", str((keys or (self.key,))[0]), "--allowed-signers", str(known),
            "--out", str(self.dist), "--image-bytes", "1000000", *words, tree=tree,
        )  # fmt: skip

    def make(self, *words: str, tree: Path = TREE) -> None:
        script = str(tree / "deployment/release/make_release.py")
        done = subprocess.run([sys.executable, script, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def offer(self, version: str, channel: str, rollout: int = 100, key: Path | None = None) -> None:
        """Put a release on a channel."""
        self.need(version)
        self.make(
            "offer", "--version", version, "--channel", channel, "--rollout", str(rollout),
            "--key", str(key or self.key), "--out", str(self.dist),
        )  # fmt: skip

    def doctored(self, version: str, as_version: str, change: dict[str, Any], *, sign: bool = True) -> None:
        """A copy of a release whose manifest was edited by hand, so that it breaks a rule the tools would hold."""
        self.need(version)
        folder = self.dist / as_version
        folder.mkdir(exist_ok=True)
        value = json.loads((self.dist / version / "release.json").read_text()) | {"version": as_version} | change
        for file in (self.dist / version).glob("visant-host-*"):
            (folder / file.name).write_bytes(file.read_bytes())
        path = folder / "release.json"
        path.write_text(json.dumps(value))
        if sign:
            self.sign(path)
        else:
            path.with_name("release.json.sig").write_bytes((self.dist / version / "release.json.sig").read_bytes())

    def sign(self, path: Path, key: Path | None = None, namespace: str = "visant-release") -> None:
        path.with_name(path.name + ".sig").unlink(missing_ok=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key or self.key), "-n", namespace, str(path)], check=True
        )
