"""The release that the Pi-like host installs: today's images and host files, signed with a key made for it.

Only the offline archive is made, without a registry; the references in its manifest lead nowhere. The images, which
take the longest, are packed again only when one of them has changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support import product

TREE = product.TREE
PRODUCT = product.VERSION
"""Tag of the images that `make images` has built."""
VERSION = f"{PRODUCT}-emulation"
"""Of the release: its camera image is the one with the fake camera, which no release that ships may have."""
SERVICES = ("camera", "connector", "redis", "uploader")
STATE = Path(os.environ.get("LAB_STATE") or Path.home() / ".cache/visant-lab") / "pi-host"


def docker(*words: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 or not check, f"docker {' '.join(words)}: {done.stderr or done.stdout}"
    return done.stdout.strip()


@dataclass(frozen=True)
class Release:
    """One offline archive, the keys that it is checked with, and the key that signed it."""

    archive: Path
    signers: Path
    key: Path


def make(folder: Path) -> Release:
    """Today's images and host files."""
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "pi-host", "-f", str(key)], check=True)
    signers = folder / "allowed_signers"
    signers.write_text(f'release@visant.test namespaces="visant-release" {key.with_suffix(".pub").read_text()}')
    for name in SERVICES:
        built = "camera-emulation" if name == "camera" else name
        docker("tag", f"visant/{built}:{PRODUCT}", f"visant/{name}:{VERSION}")
    ids = {name: docker("image", "inspect", "--format", "{{.Id}}", f"visant/{name}:{VERSION}") for name in SERVICES}
    return Release(_archive(folder / VERSION, VERSION, ids, _packed(list(ids.values())), key), signers, key)


def make_bad(good: Release, folder: Path) -> tuple[str, Path]:
    """(version, archive) of a newer release, signed by the same key, whose containers end as soon as they start."""
    version = f"2.1.{os.getpid()}"
    program = Path(shutil.which("docker-init") or "/usr/bin/docker-init")  # static; without a command it exits with 1
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(program.resolve(), arcname="ends")
    tags = [f"visant/{name}:{version}" for name in SERVICES]
    imported = subprocess.run(
        ["docker", "import", "--change", 'ENTRYPOINT ["/ends"]', "-", tags[0]],
        input=packed.getvalue(), check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    one = imported.stdout.decode().strip()
    images = folder / "images.tar.gz"
    try:
        for tag in tags[1:]:
            docker("tag", one, tag)
        _save(version, images)
    finally:
        docker("rmi", *tags, check=False)
    return version, _archive(folder / version, version, dict.fromkeys(SERVICES, one), images, good.key)


def _archive(folder: Path, version: str, ids: dict[str, str], images: Path, key: Path) -> Path:
    """By the parts of make_release.py that need no registry."""
    from release import host_bundle, make_release
    from visantctl import UPDATER_VERSION
    from visantctl.releases import manifest

    folder.mkdir()
    architecture = docker("version", "--format", "{{.Server.Arch}}")
    named = folder / f"visant-images-{version}-{architecture}.tar.gz"
    named.symlink_to(images)
    host = folder / f"visant-host-{version}.tar.gz"
    host.write_bytes(host_bundle.build(TREE))
    value = {
        "format": manifest.FORMAT,
        "version": version,
        "revision": "pi-host",
        "created_at": "2026-01-01T00:00:00Z",
        "minimum_updater": UPDATER_VERSION,
        "rollout_percent": 100,
        "images": {
            name: {"reference": f"registry.invalid/visant/{name}@{one}", "bytes": 400_000_000}
            for name, one in ids.items()
        },
        "host": make_release._blob(host),
        "archives": {architecture: make_release._blob(named)},
    }
    make_release._write_signed(folder / "release.json", value, key)
    archive = folder / f"visant-{version}-{architecture}.tar"
    subprocess.run(
        ["tar", "--create", "--dereference", "--file", str(archive), "--directory", str(folder),
         "release.json", "release.json.sig", host.name, named.name],
        check=True,
    )  # fmt: skip
    return archive


def _packed(ids: list[str]) -> Path:
    """The images of today's release; packed by an earlier run where none of them has changed since."""
    folder = STATE / "images"
    folder.mkdir(parents=True, exist_ok=True)
    found = folder / f"{hashlib.sha256(''.join(ids).encode()).hexdigest()[:16]}.tar.gz"
    with (folder / "lock").open("w") as lock:  # two runs at a time pack once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.is_file():
            for old in folder.glob("*.tar.gz"):  # of older images; another run may still read the newest
                if time.time() - old.stat().st_mtime > 7200:
                    old.unlink(missing_ok=True)
            part = found.with_suffix(".part")
            _save(VERSION, part)
            part.rename(found)
    return found


def _save(version: str, to: Path) -> None:
    from release import images

    images.save(
        {name: f"visant/{name}:{version}" for name in SERVICES}, version, to, level=0
    )  # stored: packing costs a busy machine minutes
