"""Where a release comes from: a folder on a web server with a registry behind it, or one file."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol, TypeVar

from visantctl.errors import Misconfigured, Refused
from visantctl.host.log import Log
from visantctl.host.progress import Progress
from visantctl.host.settings import Settings
from visantctl.releases import fetch
from visantctl.releases.manifest import MAX_BYTES, Blob, Release, parse
from visantctl.releases.signature import verify, verify_own_list

_SIGNATURE_BYTES = 20_000
_T = TypeVar("_T")


class Source(Protocol):
    """A signed manifest and the files it names."""

    def signed_manifest(self) -> tuple[bytes, bytes]:
        """Manifest and its signature, both unchecked."""

    def fetch(self, release: Release, wanted: Blob, to: Path) -> None:
        """Write a file of the release to `to`, checked against the manifest."""

    @property
    def has_registry(self) -> bool:
        """Images are pulled by digest; otherwise they are among the files."""


class Channel:
    """`UPDATE_URL/<channel>/release.json`, or `UPDATE_URL/<version>/release.json` when the device is pinned."""

    has_registry = True

    def __init__(self, settings: Settings, log: Log | None = None) -> None:
        """`log`: where it tells how far a download is."""
        if not settings.update_url:
            raise Misconfigured(
                "UPDATE_URL is not set in .env.device: no place to look for releases; or use --from FILE"
            )
        self._settings = settings
        self._log = log
        self.url = f"{settings.update_url}/{settings.pin or settings.channel}/release.json"

    def signed_manifest(self) -> tuple[bytes, bytes]:
        proxies = self._settings.proxies
        return fetch.small(self.url, MAX_BYTES, proxies), fetch.small(f"{self.url}.sig", _SIGNATURE_BYTES, proxies)

    def fetch(self, release: Release, wanted: Blob, to: Path) -> None:
        url = f"{self._settings.update_url}/{release.version}/{wanted.name}"
        with Progress(self._log, wanted.name) as progress:
            fetch.blob(url, wanted, to, self._settings.proxies, progress.at)


class Archive:
    """One tar with `release.json`, `release.json.sig`, the host files and the images of one architecture."""

    has_registry = False

    def __init__(self, path: Path, log: Log | None = None) -> None:
        if not path.is_file():
            raise Misconfigured(f"--from {path}: {'this is not a file' if path.exists() else 'no such file'}")
        self._path = path
        self._log = log

    def signed_manifest(self) -> tuple[bytes, bytes]:
        return (
            self._small("release.json", MAX_BYTES),
            self._small("release.json.sig", _SIGNATURE_BYTES),
        )

    def fetch(self, release: Release, wanted: Blob, to: Path) -> None:
        def copy(file: IO[bytes]) -> tuple[int, str]:
            digest, size = hashlib.sha256(), 0
            with to.open("wb") as out:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
                    size += len(chunk)
                    out.write(chunk)
                    progress.at(size, wanted.bytes)
            return size, digest.hexdigest()

        with Progress(self._log, wanted.name) as progress:
            fetch.check(wanted, *self._member(wanted.name, copy))

    def _small(self, name: str, limit: int) -> bytes:
        content = self._member(name, lambda file: file.read(limit + 1))
        if len(content) > limit:
            raise Refused(f"{self._path}: {name} is larger than {limit} bytes")
        return content

    def _member(self, name: str, read: Callable[[IO[bytes]], _T]) -> _T:
        """Read one plain file of the tar; nothing is ever extracted by the names or modes inside it."""
        try:
            with tarfile.open(self._path) as tar:
                member = tar.getmember(name)
                file = tar.extractfile(member) if member.isfile() else None
                if file is None:
                    raise Refused(f"{self._path}: {name} is not a plain file")
                return read(file)
        except KeyError:
            raise Refused(
                f"{self._path} holds no {name}: not a release archive, or one of another architecture"
            ) from None
        except tarfile.TarError as error:
            raise Refused(f"{self._path} is not a readable tar: {error}") from None


def trusted_release(source: Source, allowed_signers: Path) -> tuple[Release, bytes, str]:
    """The source's release, its signature and signer: nothing of a manifest is read before it is verified."""
    raw, signature = source.signed_manifest()
    signer = verify(raw, signature, allowed_signers)
    release = parse(raw)
    if release.allowed_signers is not None:
        verify_own_list(raw, signature, release.allowed_signers)
    return release, signature, signer
