"""The images of a release: built and pushed by `tools/images.sh`, pulled for one architecture, packed into one file."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from visantctl.errors import Problem

SERVICES = ("camera", "connector", "redis", "uploader")
ARCHITECTURES = ("arm64", "amd64")
NOWHERE = "registry.invalid/visant"
"""Where the images of a release without a registry can be had: RFC 6761 gives `.invalid` to nobody."""


def docker(*arguments: str) -> str:
    """Output of a docker command; Problem with its last line."""
    try:
        done = subprocess.run(
            ["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise Problem("docker is missing: `make lab` sets it up on a Debian machine that has none") from None
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        raise Problem(f"docker {' '.join(arguments[:3])}: {words[-1]}")
    return done.stdout.strip()


def built(tree: Path, architecture: str, version: str) -> dict[str, str]:
    """Build this tree's images for the architecture; service to local name, beside this machine's own images."""
    tag = f"{version}-{architecture}"
    _build(tree, architecture, "device", TAG=tag)
    return {service: f"visant/{service}:{tag}" for service in SERVICES}


def pushed(tree: Path, registry: str, architectures: Sequence[str], version: str) -> dict[str, str]:
    """Build for each architecture, push, and join them under one name; service to `REGISTRY/SERVICE@sha256:...`.

    BAKE_FLAGS of the environment goes to buildx: `--sbom=true --provenance=mode=max`, where its driver can.
    """
    for architecture in architectures:
        flags = os.environ.get("BAKE_FLAGS", "").split()
        _build(tree, architecture, "--push", *flags, "all", IMAGES=registry, TAG=f"{version}-{architecture}")
    references = {}
    for service in (*SERVICES, "cloud"):
        name = f"{registry}/{service}:{version}"
        docker("buildx", "imagetools", "create", "--tag", name, *(f"{name}-{one}" for one in architectures))
        digest = json.loads(docker("buildx", "imagetools", "inspect", "--format", "{{json .Manifest.Digest}}", name))
        references[service] = f"{registry}/{service}@{digest}"
    print(f"cloud, for a server: {references.pop('cloud')}", file=sys.stderr)
    return references


def pulled(references: Mapping[str, str], architecture: str) -> dict[str, str]:
    """Pull each service's image for the architecture; service to local name."""
    names = {}
    for service, reference in references.items():
        # By the platform's own digest: the Engine keeps one image a digest, and an index names several.
        names[service] = of_platform(reference, architecture)
        docker("pull", "--quiet", "--platform", f"linux/{architecture}", names[service])
    return names


def of_platform(reference: str, architecture: str) -> str:
    """The reference of one platform's image within an index; `reference` itself where it is one image."""
    manifests = json.loads(docker("buildx", "imagetools", "inspect", "--raw", reference)).get("manifests")
    if manifests is None:
        return reference
    for one in manifests:
        platform = one.get("platform", {})
        if (platform.get("os"), platform.get("architecture")) == ("linux", architecture):
            return f"{reference.partition('@')[0]}@{one['digest']}"
    raise Problem(f"{reference} has no image for linux/{architecture}")


def checked(name: str, architecture: str, version: str, *, test: bool) -> tuple[str, int]:
    """Id and unpacked bytes of a local image; Problem for one that must not be in this release.

    `test`: a test's release, which may have a fake camera and images of another version.
    """
    about = json.loads(docker("image", "inspect", name))[0]
    labels = about["Config"].get("Labels") or {}
    if about["Architecture"] != architecture:
        raise Problem(f"{name} is for {about['Architecture']}, not for {architecture}")
    if not test and labels.get("visant.emulation") == "true":
        raise Problem(f"{name}: an image for emulation, it must not ship (--emulation: for a test)")
    of = labels.get("org.opencontainers.image.version")
    if not test and of != version:
        raise Problem(f"{name} is of version {of}, the release is {version}: devices would tell the cloud {of}")
    return about["Id"], about["Size"]


def save(images: Mapping[str, str], version: str, to: Path, level: int = 6) -> None:
    """`docker save` of service to local name, under the names that devices give them, gzipped."""
    with (
        _named_as_on_devices(images, version) as names,
        subprocess.Popen(["docker", "save", *names], stdout=subprocess.PIPE) as process,
    ):
        if process.stdout is None:
            raise RuntimeError("docker save has no output")
        with gzip.GzipFile(to, "wb", compresslevel=level, mtime=0) as file:
            shutil.copyfileobj(process.stdout, file, 1 << 20)
    if process.returncode != 0:
        to.unlink(missing_ok=True)
        raise Problem(f"docker save failed with exit code {process.returncode}: its reason is above")


def _build(tree: Path, architecture: str, *words: str, **settings: str) -> None:
    environment = {**os.environ, "PLATFORM": f"linux/{architecture}", "PROGRESS": "plain", **settings}
    # Its output is for whoever waits; ours on standard output is for programs.
    done = subprocess.run([str(tree / "tools/images.sh"), *words], env=environment, stdout=2, check=False)
    if done.returncode != 0:
        raise Problem(f"the images for linux/{architecture} were not built: the reason is above")


@contextmanager
def _named_as_on_devices(images: Mapping[str, str], version: str) -> Iterator[list[str]]:
    """The tags; afterwards each means again what it meant on this machine before."""
    tags = {service: f"visant/{service}:{version}" for service in images}
    before = {tag: docker("images", "--quiet", "--no-trunc", tag) for tag in tags.values()}
    try:
        for service, tag in tags.items():
            docker("tag", images[service], tag)
        yield list(tags.values())
    finally:
        for tag, image in before.items():
            docker("tag", image, tag) if image else docker("rmi", tag)
