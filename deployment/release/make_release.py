#!/usr/bin/env python3
"""Makes what devices update from: a signed manifest, the host files, the offline archive, the channel file.

    make_release.py build --version 1.2.0 --image camera=REG/NAME@sha256:... [--image ...] --key KEY --out dist
    make_release.py offer --version 1.2.0 --channel stable --rollout 20 --key KEY --out dist

`dist` then is the folder that UPDATE_URL names. `make release-key` makes the key, and writes its public half into
deployment/allowed_signers: the list that the installer puts on a device and that every release carries.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from release import host_bundle, image_archive
from visantctl import UPDATER_VERSION
from visantctl.errors import Problem
from visantctl.releases import manifest
from visantctl.releases.signature import NAMESPACE, verify_own_list
from visantctl.version import is_version

TREE = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    """Exit code."""
    options = _arguments()
    if not is_version(options.version):
        raise SystemExit(f"--version {options.version!r} must be of the form 1.2.3 or 1.2.3-beta.1")
    if not options.key.is_file():
        raise SystemExit(f"--key {options.key}: no such file; `make release-key` makes one")
    try:
        return build(options) if options.action == "build" else offer(options)
    except Problem as problem:
        raise SystemExit(str(problem)) from None


def build(options: argparse.Namespace) -> int:
    """Write `<out>/<version>/`."""
    list_of_keys = options.allowed_signers or options.tree / "deployment/allowed_signers"
    if not list_of_keys.is_file():
        raise SystemExit(f"{list_of_keys} is missing, devices would trust nobody: `make release-key` writes it")
    folder = options.out / options.version
    folder.mkdir(parents=True, exist_ok=True)
    if wrong := [one for one in options.image if "=" not in one]:
        raise SystemExit(f"--image {wrong[0]!r} must be SERVICE=REGISTRY/NAME@sha256:...")
    references = dict(one.split("=", 1) for one in options.image)
    sizes = dict.fromkeys(references, 0)
    archives = {}
    for architecture in options.archive:
        for service, size in image_archive.fetch(references, options.version, architecture).items():
            sizes[service] = max(size, sizes[service])
        path = folder / f"visant-images-{options.version}-{architecture}.tar.gz"
        image_archive.save(sorted(references), options.version, path, options.compress)
        archives[architecture] = _blob(path)
    host = folder / f"visant-host-{options.version}.tar.gz"
    host.write_bytes(host_bundle.build(options.tree, options.compose))
    value = {
        "format": manifest.FORMAT,
        "version": options.version,
        "revision": options.revision or _revision(),
        "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "minimum_updater": options.minimum_updater,
        "rollout_percent": options.rollout,
        "images": {
            service: {"reference": reference, "bytes": sizes[service] or options.image_bytes}
            for service, reference in references.items()
        },
        "host": _blob(host),
        "archives": archives,
        "allowed_signers": list_of_keys.read_text(),
    }
    _write_signed(folder / "release.json", value, options.key)
    for architecture, blob in archives.items():
        _offline(folder, folder / f"visant-{options.version}-{architecture}.tar", host.name, blob["name"])
        (folder / blob["name"]).unlink()  # devices read it out of the archive only
    return 0


def offer(options: argparse.Namespace) -> int:
    """Write `<out>/<channel>/release.json`: the release's manifest, for this part of the fleet."""
    made = options.out / options.version / "release.json"
    if not made.is_file():
        raise SystemExit(f"{made} is not there: build {options.version} first")
    value = json.loads(made.read_bytes())
    value["rollout_percent"] = options.rollout
    (options.out / options.channel).mkdir(exist_ok=True)
    _write_signed(options.out / options.channel / "release.json", value, options.key)
    return 0


def _offline(folder: Path, to: Path, *blobs: str) -> None:
    with tarfile.open(to, "w") as tar:
        for name in ("release.json", "release.json.sig", *blobs):
            tar.add(folder / name, arcname=name)


def _write_signed(path: Path, value: dict[str, Any], key: Path) -> None:
    raw = (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
    manifest.parse(raw)  # never sign what a device would refuse
    path.write_bytes(raw)
    signature = path.with_name(path.name + ".sig")
    signature.unlink(missing_ok=True)
    done = subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(path)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        path.unlink()
        raise SystemExit(f"--key {key}: ssh-keygen cannot sign with it (is the secret empty?): {done.stderr.strip()}")
    if "allowed_signers" in value:
        try:
            verify_own_list(raw, signature.read_bytes(), value["allowed_signers"])
        except Problem:
            path.unlink()
            signature.unlink()
            raise
    print(path)


def _blob(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "sha256": digest, "bytes": path.stat().st_size}


def _revision() -> str:
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=TREE, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    for name in ("build", "offer"):
        action = actions.add_parser(name)
        action.add_argument("--version", required=True)
        action.add_argument("--key", required=True, type=Path, help="private SSH key that signs")
        action.add_argument("--out", default=Path("dist"), type=Path)
        action.add_argument("--rollout", default=100, type=int, metavar="PERCENT")
        if name == "offer":
            action.add_argument("--channel", default="stable")
            continue
        action.add_argument("--image", action="append", required=True, metavar="SERVICE=REFERENCE@sha256:...")
        action.add_argument("--archive", action="append", default=[], metavar="ARCH", help="arm64, amd64: make one")
        action.add_argument("--compress", default=6, type=int, help="gzip level of the archive")
        action.add_argument("--image-bytes", default=0, type=int, help="unpacked size assumed without an archive")
        action.add_argument("--tree", default=TREE, type=Path, help="checkout to take the host files from")
        action.add_argument("--compose", type=Path, help="another Compose file than the tree's")
        action.add_argument("--revision", help="default: the checkout's commit")
        action.add_argument("--minimum-updater", default=UPDATER_VERSION, type=int)
        action.add_argument(
            "--allowed-signers",
            type=Path,
            help="keys that devices trust from this release on (default: deployment/allowed_signers of --tree)",
        )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
