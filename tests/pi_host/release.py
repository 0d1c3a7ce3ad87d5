"""The release that the Pi-like host installs: today's images and host files, signed with a key made for it.

Only the offline archive is made, without a registry; the references in its manifest lead nowhere. The images, which
take the longest, are packed again only when one of them has changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
VERSION = "2.0.0"
SERVICES = ("camera", "connector", "redis", "uploader")
STATE = Path(os.environ.get("LAB_STATE") or Path.home() / ".cache/visant-lab") / "pi-host"


def docker(*words: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 or not check, f"docker {' '.join(words)}: {done.stderr or done.stdout}"
    return done.stdout.strip()


@dataclass(frozen=True)
class Release:
    """One offline archive and the keys that it is checked with."""

    archive: Path
    signers: Path


def make(folder: Path) -> Release:
    """Build `folder/visant-2.0.0-ARCH.tar` by the parts of make_release.py that need no registry."""
    sys.path.insert(0, str(TREE / "deployment"))
    from release import host_bundle, make_release
    from visantctl import UPDATER_VERSION, manifest

    architecture = docker("version", "--format", "{{.Server.Arch}}")
    ids = {name: docker("image", "inspect", "--format", "{{.Id}}", f"visant/{name}:{VERSION}") for name in SERVICES}
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "pi-host", "-f", str(key)], check=True)
    signers = folder / "allowed_signers"
    signers.write_text(f'release@visant.test namespaces="visant-release" {key.with_suffix(".pub").read_text()}')
    images = folder / f"visant-images-{VERSION}-{architecture}.tar.gz"
    images.symlink_to(_packed(list(ids.values())))
    host = folder / f"visant-host-{VERSION}.tar.gz"
    host.write_bytes(host_bundle.build(TREE))
    value = {
        "format": manifest.FORMAT,
        "version": VERSION,
        "revision": "pi-host",
        "created_at": "2026-01-01T00:00:00Z",
        "minimum_updater": UPDATER_VERSION,
        "rollout_percent": 100,
        "images": {
            name: {"reference": f"registry.invalid/visant/{name}@{one}", "bytes": 400_000_000}
            for name, one in ids.items()
        },
        "host": make_release._blob(host),
        "archives": {architecture: make_release._blob(images)},
    }
    make_release._write_signed(folder / "release.json", value, key)
    archive = folder / f"visant-{VERSION}-{architecture}.tar"
    subprocess.run(
        ["tar", "--create", "--dereference", "--file", str(archive), "--directory", str(folder),
         "release.json", "release.json.sig", host.name, images.name],
        check=True,
    )  # fmt: skip
    return Release(archive, signers)


def _packed(ids: list[str]) -> Path:
    from release import image_archive

    folder = STATE / "images"
    found = folder / f"{hashlib.sha256(''.join(ids).encode()).hexdigest()[:16]}.tar.gz"
    if not found.is_file():
        shutil.rmtree(folder, ignore_errors=True)  # those of older images
        folder.mkdir(parents=True)
        image_archive.save(list(SERVICES), VERSION, found.with_suffix(".part"), level=1)
        found.with_suffix(".part").rename(found)
    return found
