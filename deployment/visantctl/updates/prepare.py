"""The steps of an update that change nothing that runs: check, download, try the candidate's own updater."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from visantctl.errors import EngineFailed, NoSpace, Refused
from visantctl.host import durable
from visantctl.host.kill_point import kill_point
from visantctl.releases import images
from visantctl.releases.manifest import Release
from visantctl.releases.source import Source
from visantctl.updates.leftovers import remove_leftovers
from visantctl.updates.obtain import obtain_images
from visantctl.wiring import HOST_FILES, Device

_UNPACKED = 12
"""The host files are text: unpacked at most about this many times their size."""


def prepare(device: Device, source: Source, release: Release, signature: bytes) -> None:
    """Bring the whole release onto this host. Raises without any trace in what runs."""
    remove_leftovers(device, release.version)  # of releases that were fetched and then refused
    check_space(device, source, release)
    kill_point("space-checked")
    try:
        _stage(device, source, release, signature)
        kill_point("host-staged")
        obtain_images(device, source, release)
    except OSError as error:
        raise NoSpace(f"cannot store {release.version} below {device.place.root}: {error.strerror or error}") from None
    kill_point("images-present")
    _try_candidate(device, release)
    kill_point("candidate-tested")


def check_space(device: Device, source: Source, release: Release) -> None:
    """NoSpace unless everything fits and `min_free_bytes` remain."""
    absent = sum(
        image.bytes for image in release.images if images.image_id(device.engine, image.tag(release.version)) is None
    )
    archive = 0 if source.has_registry or not absent else _archive_bytes(device, release)
    needs = [(device.place.root, release.host.bytes * _UNPACKED + archive), (device.engine.data_root(), absent)]
    by_disk: dict[int, int] = {}
    for folder, needed in needs:
        if not folder.exists():  # an Engine elsewhere: it will say so itself
            continue
        disk = folder.stat().st_dev
        by_disk[disk] = by_disk.get(disk, device.settings.min_free_bytes) + needed
        free = shutil.disk_usage(folder).free
        if free < by_disk[disk]:
            raise NoSpace(
                f"{release.version} needs {by_disk[disk] // 1_000_000} MB free at {folder} "
                f"(UPDATE_MIN_FREE_BYTES included), there are {free // 1_000_000} MB: free some, nothing was changed"
            )


def _archive_bytes(device: Device, release: Release) -> int:
    wanted = release.archives.get(device.engine.architecture())
    return wanted.bytes if wanted else 0


def _stage(device: Device, source: Source, release: Release, signature: bytes) -> None:
    """The host files, under their final name only when they are whole."""
    final = device.place.release(release.version)
    for leftover in device.place.releases.glob(".incoming-*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    here = device.whole_release(release.version)  # a damaged one is staged anew
    if here is not None and here.identity == release.identity:
        durable.write_file(final / "release.json", release.raw)
        durable.write_file(final / "release.json.sig", signature)
        return
    # What came of it stays for the next try: on a site's network a download may be cut again and again.
    partial = device.place.state / f"partial-{release.host.sha256}"
    for other in device.place.state.glob("partial-*"):
        if other != partial:
            other.unlink()
    try:
        source.fetch(release, release.host, partial)
    except OSError:  # the disk is full
        partial.unlink(missing_ok=True)
        raise
    staged = device.place.releases / f".incoming-{release.version}"
    staged.mkdir(parents=True)
    try:
        bundle = staged / release.host.name
        shutil.move(partial, bundle)
        unpack(bundle, staged)  # and it stays: what lies here later is judged by it (releases/published.py)
        for needed in HOST_FILES:
            if not (staged / needed).is_file():
                raise Refused(f"{release.version}: {release.host.name} holds no {needed}")
        (staged / "release.json").write_bytes(release.raw)
        (staged / "release.json.sig").write_bytes(signature)
        durable.publish_directory(staged, final)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def unpack(bundle: Path, to: Path) -> None:
    """Plain files of a tar.gz, below `to` only. (tarfile's own filters are newer than some 3.11.)"""
    try:
        with tarfile.open(bundle, "r:gz") as tar:
            for member in tar:
                parts = Path(member.name).parts
                if member.isdir():
                    continue
                if not member.isfile() or member.name.startswith("/") or ".." in parts:
                    raise Refused(f"{bundle.name}: {member.name!r} is not a plain file of this folder")
                target = to.joinpath(*parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                source = tar.extractfile(member)
                if source is not None:
                    with target.open("wb") as file:
                        shutil.copyfileobj(source, file)
                target.chmod(0o755 if member.mode & 0o100 else 0o644)
    except tarfile.TarError as error:
        raise Refused(f"{bundle.name} is not a readable tar.gz: {error}") from None


def _try_candidate(device: Device, release: Release) -> None:
    """A release whose updater does not start, or whose Compose file does not parse, is never switched to."""
    script = device.place.release(release.version) / "deployment/bin/visantctl"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    try:
        tried = subprocess.run(
            [sys.executable, str(script), "selftest"],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Refused(f"the visantctl of {release.version} does not answer") from None
    if tried.returncode != 0:
        words = (tried.stderr or tried.stdout).strip().splitlines()
        raise Refused(f"the visantctl of {release.version} does not work here: {words[-1] if words else 'no reason'}")
    try:
        services = device.stack(release.version).check()
    except EngineFailed as error:
        raise Refused(f"the Compose file of {release.version} does not work here: {error}") from None
    if absent := sorted({image.service for image in release.images} - set(services)):
        raise Refused(f"the Compose file of {release.version} names no service for {', '.join(absent)}")
