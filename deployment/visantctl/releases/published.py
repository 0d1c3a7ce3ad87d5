"""The host files of a release as they were published: what differs from them here, and putting it back.

The packed files stay beside the unpacked ones. They are held to the manifest, whose signature was checked and may be
checked again, so what lies here is judged by the release itself and not by a list that lies here as well.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from visantctl.errors import Problem, Refused
from visantctl.host import durable
from visantctl.host.place import Place
from visantctl.releases import manifest
from visantctl.releases.signature import verify


def changed(place: Place, version: str) -> list[str]:
    """Names of files that are not as they were published: changed, gone or added. Problem where that cannot be told."""
    folder = place.release(version)
    published = {name: content for name, content, _ in _files(place, version)}
    found = [name for name, content in published.items() if _content(folder / name) != content]
    code = folder / "deployment"
    here = (path for path in code.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted({*found, *(name for path in here if (name := str(path.relative_to(folder))) not in published)})


def restore(place: Place, version: str) -> list[str]:
    """Put them back; returns the names. What was added is removed: Python would import it."""
    names = changed(place, version)
    folder = place.release(version)
    published = {name: (content, mode) for name, content, mode in _files(place, version)}
    for name in names:
        path = folder / name
        if path.is_symlink() or (name not in published and path.exists()):
            durable.remove_file(path)
        if name in published:
            content, mode = published[name]
            durable.write_file(path, content, mode=mode)
            path.chmod(mode)
    return names


def _content(path: Path) -> bytes | None:
    try:
        return None if path.is_symlink() else path.read_bytes()
    except OSError:
        return None


def _files(place: Place, version: str) -> Iterator[tuple[str, bytes, int]]:
    """(name, content, mode) of each. Problem where the packed files are not here, or are not the release's."""
    folder = place.release(version)
    try:
        raw, signature = (folder / "release.json").read_bytes(), (folder / "release.json.sig").read_bytes()
    except OSError as error:
        raise Refused(f"{error.filename}: {error.strerror}") from None
    verify(raw, signature, place.allowed_signers)
    host = manifest.parse(raw).host
    bundle = folder / host.name
    if not bundle.is_file():
        raise Problem(f"{version} was installed by an updater that did not keep its packed files")
    packed = bundle.read_bytes()
    if hashlib.sha256(packed).hexdigest() != host.sha256:
        raise Refused(f"{bundle} is not what the release of {version} names")
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            if content is not None:
                yield member.name, content.read(), 0o755 if member.mode & 0o100 else 0o644
