#!/usr/bin/env python3
"""Makes what devices update from: a signed manifest, the host files, the offline archive, the channel file.

    make_release.py archive --platform linux/arm64         this tree, as a file for devices without a registry
    make_release.py release --registry registry.example/you     this tree, pushed; and the same files
    make_release.py offer --version 1.2.0 --channel stable --rollout 20

The first two are `make release-archive` and `make release`. A workflow that signs elsewhere than it builds takes
`release` in its two steps:

    make_release.py images --registry registry.example/you      builds and pushes; prints SERVICE=REFERENCE lines
    make_release.py build --version 1.2.0 --image camera=REG/camera@sha256:... [--image ...] [--archive arm64 ...]

`dist` then is the folder that UPDATE_URL names. `make release-key` makes the key, and writes its public half into
deployment/allowed_signers: the list that the installer puts on a device and that every release carries.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from release import host_bundle, images
from visantctl import UPDATER_VERSION
from visantctl.errors import Problem
from visantctl.releases import manifest
from visantctl.releases.signature import NAMESPACE, verify_own_list
from visantctl.version import is_version

TREE = Path(__file__).resolve().parent.parent.parent
_NAME_OF_EMULATION = re.compile(r"-emulation[@:]")
_REGISTRY = re.compile(r"[a-z0-9][a-z0-9._-]*(?::[0-9]+)?(?:/[a-z0-9._-]+)*")

Obtain = Callable[[str], Mapping[str, str]]
"""Architecture to the local names of its images, by service."""


def main() -> int:
    """Exit code. What is wrong is one line."""
    options = _arguments()
    try:
        return int(_ACTIONS[options.action](options))
    except Problem as problem:
        raise SystemExit(str(problem)) from None
    except OSError as error:
        raise SystemExit(f"{error.filename or 'input or output'}: {error.strerror or error}") from None


def archive(options: argparse.Namespace) -> int:
    """`<out>/<version>/`, from images that are built here and go nowhere."""
    _prepare(options)
    names = {one: images.built(TREE, one, options.version) for one in options.archive}
    first = names[options.archive[0]]
    references = {service: f"{images.NOWHERE}/{service}@{_image_id(name)}" for service, name in first.items()}
    return _make(options, references, names.__getitem__)


def release(options: argparse.Namespace) -> int:
    """`<out>/<version>/`, from images that are built here and pushed."""
    _prepare(options)
    references = images.pushed(TREE, options.registry, options.archive, options.version)
    return _make(options, references, lambda architecture: images.pulled(references, architecture))


def push(options: argparse.Namespace) -> int:
    """Build and push; SERVICE=REFERENCE lines on standard output."""
    _as_the_tree_says(options)
    for service, reference in images.pushed(TREE, options.registry, options.archive, options.version).items():
        print(f"{service}={reference}")
    return 0


def build(options: argparse.Namespace) -> int:
    """`<out>/<version>/`, from images that are in a registry."""
    _check_version(options.version)
    _check_key(options)
    references: dict[str, str] = {}
    for one in options.image:
        service, sign, reference = one.partition("=")
        if not sign:
            raise Problem(f"--image {one!r} must be SERVICE=REGISTRY/NAME@sha256:...")
        if service not in images.SERVICES or service in references:
            raise Problem(f"--image {one}: {' , '.join(images.SERVICES)}, each once".replace(" ,", ","))
        if _NAME_OF_EMULATION.search(reference) and not options.emulation:
            raise Problem(f"--image {one}: an image for emulation, it must not ship (--emulation: for a test)")
        references[service] = reference
    if absent := sorted(set(images.SERVICES) - set(references)):
        raise Problem(f"--image is missing for {', '.join(absent)}")
    return _make(options, references, lambda architecture: images.pulled(references, architecture))


def offer(options: argparse.Namespace) -> int:
    """Write `<out>/<channel>/release.json`: the release's manifest, for this part of the fleet."""
    _check_version(options.version)
    _check_key(options)
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", options.channel):
        raise Problem(f"--channel {options.channel!r} must be a word such as stable or beta")
    made = options.out / options.version / "release.json"
    if not made.is_file():
        raise Problem(f"{made} is not there: make {options.version} first")
    try:
        value = json.loads(made.read_bytes())
        value["rollout_percent"] = options.rollout
    except (ValueError, TypeError):
        raise Problem(f"{made} is not the manifest of a release: make {options.version} again") from None
    (options.out / options.channel).mkdir(exist_ok=True)
    _write_signed(options.out / options.channel / "release.json", value, options.key)
    return 0


_ACTIONS = {"archive": archive, "release": release, "images": push, "build": build, "offer": offer}


def _make(options: argparse.Namespace, references: Mapping[str, str], obtain: Obtain) -> int:
    folder = options.out / options.version
    folder.mkdir(parents=True, exist_ok=True)
    sizes = dict.fromkeys(references, 0)
    archives = {}
    for architecture in options.archive:
        names = obtain(architecture)
        for service, name in names.items():
            _, size = images.checked(name, architecture, options.version, test=options.emulation)
            sizes[service] = max(size, sizes[service])
        path = folder / f"visant-images-{options.version}-{architecture}.tar.gz"
        images.save(names, options.version, path, options.compress)
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
        "allowed_signers": _signers(options).read_text(),
    }
    _write_signed(folder / "release.json", value, options.key)
    for architecture, blob in archives.items():
        _offline(folder, folder / f"visant-{options.version}-{architecture}.tar", host.name, blob["name"])
        (folder / blob["name"]).unlink()  # devices read it out of the archive only
    return 0


def _prepare(options: argparse.Namespace) -> None:
    """Everything that would end the release after minutes of building is looked at before."""
    _as_the_tree_says(options)
    _check_key(options)
    made = options.out / options.version
    if (made / "release.json").exists():
        raise Problem(
            f"{made} is made already, and devices refuse other content under a number that they know: "
            "tools/version.py NEW raises it (or remove the folder, where no device has it)"
        )
    made.mkdir(parents=True, exist_ok=True)


def _as_the_tree_says(options: argparse.Namespace) -> None:
    options.version = _line([str(TREE / "tools/version.py")])
    _check_version(options.version)
    if getattr(options, "registry", None) is not None and not _REGISTRY.fullmatch(options.registry):
        raise Problem(f"--registry {options.registry!r} must look like registry.example/you: make release IMAGES=...")
    wanted = [one.partition("/") for one in options.platform.split(",")]
    if wrong := [one for one in wanted if one[0] != "linux" or one[2] not in images.ARCHITECTURES]:
        raise Problem(f"--platform {''.join(wrong[0])!r}: linux/arm64 or linux/amd64, or both with a comma")
    options.archive = list(dict.fromkeys(one[2] for one in wanted))


def _check_version(version: str) -> None:
    if not is_version(version):
        raise Problem(f"--version {version!r} must be of the form 1.2.3 or 1.2.3-beta.1")


def _check_key(options: argparse.Namespace) -> None:
    """The key can sign, and devices that keep what it signs go on trusting it."""
    if not options.key.is_file():
        raise Problem(f"--key {options.key}: no such file; `make release-key` makes one")
    public = _line(["ssh-keygen", "-y", "-P", "", "-f", str(options.key)], f"--key {options.key}: no private key")
    if options.action == "offer":
        return
    signers = _signers(options)
    if not signers.is_file():
        raise Problem(f"{signers} is missing, devices would trust nobody: `make release-key` writes it")
    if " ".join(public.split()[:2]) not in signers.read_text():
        raise Problem(f"{signers} does not hold the public half of {options.key}: devices would refuse what it signs")


def _signers(options: argparse.Namespace) -> Path:
    found: Path = options.allowed_signers or options.tree / "deployment/allowed_signers"
    return found


def _image_id(name: str) -> str:
    return images.docker("image", "inspect", "--format", "{{.Id}}", name)


def _offline(folder: Path, to: Path, *blobs: str) -> None:
    with tarfile.open(to, "w") as tar:
        for name in ("release.json", "release.json.sig", *blobs):
            tar.add(folder / name, arcname=name)
    print(to)


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
        raise Problem(f"--key {key}: ssh-keygen cannot sign with it (is the secret empty?): {done.stderr.strip()}")
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


def _line(command: list[str], wrong: str = "") -> str:
    """What a command prints; Problem that begins with `wrong`."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Problem(f"{command[0]} is missing: apt-get install openssh-client") from None
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or ["no reason given"]
        raise Problem(f"{wrong or command[0]}: {words[-1]}")
    return done.stdout.strip()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help lists what there is)\n")


def _arguments() -> argparse.Namespace:
    parser = _Parser(description=(__doc__ or "").splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    key = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "visant/release-key"
    for name in _ACTIONS:
        action = actions.add_parser(name)
        if name in ("archive", "release", "images"):
            default = "linux/arm64" if name == "archive" else "linux/arm64,linux/amd64"
            action.add_argument(
                "--platform", default=default, metavar="PLATFORM[,PLATFORM]", help=f"default: {default}"
            )
        else:
            action.add_argument("--version", required=True)
        if name in ("release", "images"):
            action.add_argument("--registry", required=True, help="what the image names begin with, logged in to")
        if name == "images":
            continue
        action.add_argument("--key", default=key, type=Path, help=f"private SSH key that signs (default: {key})")
        action.add_argument("--out", default=Path("dist"), type=Path)
        action.add_argument("--rollout", default=100, type=int, metavar="PERCENT")
        if name == "offer":
            action.add_argument("--channel", default="stable")
            continue
        if name == "build":
            action.add_argument("--image", action="append", required=True, metavar="SERVICE=REFERENCE@sha256:...")
            action.add_argument(
                "--archive", action="append", default=[], choices=images.ARCHITECTURES, metavar="ARCH",
                help="arm64, amd64: make one",
            )  # fmt: skip
        action.add_argument("--compress", default=6, type=int, choices=range(10), help="gzip level of the archive")
        action.add_argument("--image-bytes", default=0, type=int, help="unpacked size assumed without an archive")
        action.add_argument("--tree", default=TREE, type=Path, help="checkout to take the host files from")
        action.add_argument("--compose", type=Path, help="another Compose file than the tree's")
        action.add_argument(
            "--emulation", action="store_true",
            help="a test's release: its camera may be the fake one, its images of another version",
        )  # fmt: skip
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
