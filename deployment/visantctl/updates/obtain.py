"""The images of a release that is here: from the registry or a file, on the medium before they count."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from visantctl.errors import EngineAway, NoSpace, Problem, Refused
from visantctl.host import durable
from visantctl.releases import images
from visantctl.releases.manifest import Release
from visantctl.releases.source import Source
from visantctl.wiring import Device

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_FETCHING = "fetching.json"


def bring_back_images(device: Device, version: str, offered: tuple[Source, Release] | None = None) -> None:
    """Images of a release that is here and that somebody deleted; nothing where all are there.

    From `offered`, a source and its release, where that is this release; else from the registry that its manifest
    names. A problem of the way they come says so.
    """
    release = device.release(version)
    if not images.missing(device.engine, release.tags, device.place.release(version)):
        return
    device.log.error(f"images of {version} are gone from this host: getting them again")
    source = offered[0] if offered is not None and offered[1].identity == release.identity else None
    try:
        obtain_images(device, source, release)
    except EngineAway:
        raise
    except Problem as problem:
        raise type(problem)(f"the images of {version} are gone and cannot be had: {problem}") from None
    except OSError as error:
        raise NoSpace(f"the images of {version} cannot be stored: {error.strerror or error}") from None


def obtain_images(device: Device, source: Source | None, release: Release) -> None:
    """Pull, or load where `source` is a file; have it on the medium, then note the ids."""
    directory = device.place.release(release.version)
    _forget_half_written(device, release, directory)
    if images.missing(device.engine, release.tags, directory):
        device.log.info(f"getting {len(release.images)} images of {release.version}")
        if source is None or source.has_registry:
            images.pull(device.engine, release, device.log)
        else:
            _load(device, source, release)
    # The Engine leaves the files of a layer to the kernel, which writes them half a minute later: a power cut before
    # that leaves an image that looks complete and holds empty files (home-assistant/operating-system issue 4994).
    os.sync()
    images.record(device.engine, release, directory)
    durable.remove_file(device.place.state / _FETCHING)


def _forget_half_written(device: Device, release: Release, directory: Path) -> None:
    """Images that were being fetched when the power went are fetched anew: their files may be empty."""
    marker = device.place.state / _FETCHING
    boot = BOOT_ID.read_text().strip()
    before = durable.read_json(marker)
    if before == {"version": release.version, "boot": boot}:
        return
    if isinstance(before, dict) and before.get("version") == release.version and not images.recorded(directory):
        device.log.warning(f"fetching {release.version} was cut short by a restart: fetching it anew")
        others = {device.ledger.good, device.place.linked_version(device.place.previous)} - {None, release.version}
        images.remove(device.engine, release, [one for name in others if (one := device.whole_release(str(name)))])
    with contextlib.suppress(OSError):  # the disk may be full: the start of an installed release goes on
        durable.write_json(marker, {"version": release.version, "boot": boot})


def _load(device: Device, source: Source, release: Release) -> None:
    wanted = release.archives.get(device.engine.architecture())
    if wanted is None:
        raise Refused(f"{release.version} has no images for {device.engine.architecture()} in an archive")
    copy = device.place.releases / f".incoming-{wanted.name}"
    try:
        source.fetch(release, wanted, copy)
        images.load(device.engine, release, copy)
    finally:
        copy.unlink(missing_ok=True)
