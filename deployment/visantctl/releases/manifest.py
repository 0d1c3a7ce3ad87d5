"""The release manifest: what one version is made of. `deployment/release/make_release.py` writes it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visantctl import UPDATER_VERSION
from visantctl.errors import Refused
from visantctl.version import is_version

FORMAT = 1
MAX_BYTES = 1_000_000
_SERVICE = re.compile(r"[a-z][a-z0-9-]{0,30}")
_REFERENCE = re.compile(r"[a-z0-9][a-z0-9._:/-]{0,250}@sha256:[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


@dataclass(frozen=True)
class Blob:
    """A file beside the manifest."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Image:
    """One service's image."""

    service: str
    reference: str
    """`registry/repository@sha256:...`, of one platform or of an index of several."""
    bytes: int
    """Unpacked size, for the free-space check."""

    def tag(self, version: str) -> str:
        """The local name that Compose uses; both ways, pull and archive, end in it."""
        return f"visant/{self.service}:{version}"


@dataclass(frozen=True)
class Release:
    """A manifest whose form has been checked. Its signature is checked before (see `signature`)."""

    version: str
    revision: str
    created_at: str
    minimum_updater: int
    rollout_percent: int
    images: tuple[Image, ...]
    host: Blob
    """tar.gz with compose.yaml and deployment/, visantctl itself included."""
    archives: dict[str, Blob]
    """Architecture (`arm64`, `amd64`) to the `docker save` of all images, for hosts without a registry."""
    allowed_signers: str | None
    """When present it replaces the device's key list once this release is kept: key rotation."""
    raw: bytes

    @property
    def identity(self) -> str:
        """SHA-256 over what the release consists of; the rollout percentage may grow without changing it."""
        value = json.loads(self.raw)
        value.pop("rollout_percent", None)
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()

    @property
    def tags(self) -> dict[str, str]:
        """Service to the local name that Compose uses."""
        return {image.service: image.tag(self.version) for image in self.images}

    @property
    def image_bytes(self) -> int:
        """Unpacked size of all images."""
        return sum(image.bytes for image in self.images)


def parse(raw: bytes) -> Release:
    """Check a manifest's form; Refused says which key is wrong. Unknown keys are ignored."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Refused(f"release manifest is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Refused("release manifest is not a JSON object")
    if value.get("format") != FORMAT:
        raise Refused(f"release manifest has format {value.get('format')!r}, this visantctl reads {FORMAT}")
    # Asked before the rest is read: a release that needs a newer updater may look different.
    minimum = _whole(value, "minimum_updater", 1, 1_000_000)
    version = _text(value, "version")
    if not is_version(version):
        raise Refused(f"release manifest: version {version!r} is not of the form 1.2.3 or 1.2.3-beta.1")
    if minimum > UPDATER_VERSION:
        raise Refused(
            f"release {version} needs updater {minimum}, this one is {UPDATER_VERSION}: install an intermediate release"
        )
    images = value.get("images")
    if not isinstance(images, dict) or not images:
        raise Refused("release manifest: images is missing or empty")
    archives = value.get("archives", {})
    if not isinstance(archives, dict):
        raise Refused("release manifest: archives is not an object")
    signers = value.get("allowed_signers")
    if signers is not None and not isinstance(signers, str):
        raise Refused("release manifest: allowed_signers is not text")
    return Release(
        version=version,
        revision=_text(value, "revision"),
        created_at=_text(value, "created_at"),
        minimum_updater=minimum,
        rollout_percent=_whole(value, "rollout_percent", 0, 100),
        images=tuple(_image(service, image) for service, image in sorted(images.items())),
        host=_blob("host", value.get("host")),
        archives={str(arch): _blob(f"archives.{arch}", blob) for arch, blob in archives.items()},
        allowed_signers=signers,
        raw=raw,
    )


def read(path: Path) -> Release:
    """The manifest of a release that is on this host."""
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        raise Refused(f"{path} is missing: this release is not complete here, visantctl update gets it again") from None


def _text(value: dict[str, Any], key: str) -> str:
    text = value.get(key)
    if not isinstance(text, str) or not text:
        raise Refused(f"release manifest: {key} is missing or not text")
    return text


def _whole(value: dict[str, Any], key: str, low: int, high: int) -> int:
    number = value.get(key)
    if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
        raise Refused(f"release manifest: {key} is {number!r}, not a whole number from {low} to {high}")
    return number


def _image(service: str, value: Any) -> Image:
    if not _SERVICE.fullmatch(service):
        raise Refused(f"release manifest: {service!r} is not a service name")
    if not isinstance(value, dict):
        raise Refused(f"release manifest: images.{service} is not an object")
    reference = value.get("reference")
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise Refused(f"release manifest: images.{service} has no digest (registry/name@sha256:...): {reference!r}")
    return Image(service, reference, _whole(value, "bytes", 0, 10**12))


def _blob(where: str, value: Any) -> Blob:
    if not isinstance(value, dict):
        raise Refused(f"release manifest: {where} is missing")
    name, digest = value.get("name"), value.get("sha256")
    if not isinstance(name, str) or not _FILE_NAME.fullmatch(name):
        raise Refused(f"release manifest: {where}.name {name!r} is not a plain file name")
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise Refused(f"release manifest: {where}.sha256 is missing or not 64 hex digits")
    return Blob(name, digest, _whole(value, "bytes", 0, 10**12))
