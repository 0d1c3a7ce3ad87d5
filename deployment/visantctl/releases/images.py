"""The images of a release on this host: pulled by digest or loaded, always ending in the tag Compose names."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from visantctl.errors import EngineFailed, Misconfigured, NoSpace, Problem, Refused, Unreachable
from visantctl.host import durable
from visantctl.host.engine import Engine
from visantctl.host.kill_point import kill_point
from visantctl.host.log import Log
from visantctl.host.progress import Progress
from visantctl.releases.layers import Layers
from visantctl.releases.manifest import Image, Release

_PULL_TIMEOUT = 3600.0
_PULL_PAUSES = (2.0, 5.0)
"""Seconds between the tries of one image; layers that are complete are kept by the Engine."""


def pull(engine: Engine, release: Release, log: Log | None = None) -> None:
    """Get every image by its digest and tag it."""
    for number, image in enumerate(release.images):
        if image_id(engine, image.reference) is None:
            what = f"image {number + 1} of {len(release.images)}, {image.service}"
            with Progress(log, what) as progress:
                _pull_one(engine, image, progress)
        engine.run("tag", image.reference, image.tag(release.version))
        if number == 0:
            kill_point("first-image")


def load(engine: Engine, release: Release, archive: Path) -> None:
    """Get every image from the `docker save` of the release."""
    try:
        engine.run("load", "--quiet", "--input", str(archive), timeout=_PULL_TIMEOUT)
    except EngineFailed as error:
        raise _explain(error, "the archive") from None
    kill_point("first-image")
    for image in release.images:
        if image_id(engine, image.tag(release.version)) is None:
            raise Refused(f"the archive of {release.version} holds no image {image.tag(release.version)}")


def image_id(engine: Engine, name: str) -> str | None:
    """The Engine's id of an image; None when it is not on this host."""
    try:
        return engine.run("image", "inspect", "--format", "{{.Id}}", name).strip()
    except EngineFailed:
        return None


def record(engine: Engine, release: Release, directory: Path) -> None:
    """Note the ids beside the release: what its tags must point to from now on."""
    ids = {image.service: image_id(engine, image.tag(release.version)) for image in release.images}
    durable.write_json(directory / "images.json", ids)


def recorded(directory: Path) -> dict[str, str]:
    """Service to image id, as `record` wrote it; empty when it never did."""
    value = durable.read_json(directory / "images.json")
    return {key: text for key, text in value.items() if isinstance(text, str)} if isinstance(value, dict) else {}


def missing(engine: Engine, tags: Mapping[str, str], directory: Path) -> list[str]:
    """Services whose image is not here; a tag that was moved by somebody is set back on the way.

    `tags`: service to local name; `directory`: of the release, where the ids are recorded.
    """
    ids, absent = recorded(directory), []
    for service, tag in tags.items():
        wanted, found = ids.get(service), image_id(engine, tag)
        if wanted is not None and found != wanted:
            if not engine.succeeds("tag", wanted, tag):
                absent.append(service)
        elif found is None:
            absent.append(service)
    return absent


def remove(engine: Engine, release: Release, kept: Iterable[Release]) -> None:
    """Take the release's tags and digests off this host; never `prune`, that would take the release to go back to."""
    still_used = {image.reference for other in kept for image in other.images}
    for image in release.images:
        engine.succeeds("image", "rm", image.tag(release.version))
        if image.reference not in still_used:
            engine.succeeds("image", "rm", image.reference)


def _pull_one(engine: Engine, image: Image, progress: Progress) -> None:
    layers = Layers()

    def tell(shown: str) -> None:
        layers.read(shown)
        if layers.total:
            progress.at(layers.done, layers.total)

    for pause in (*_PULL_PAUSES, None):
        try:
            engine.show("pull", image.reference, tell=tell, timeout=_PULL_TIMEOUT)
        except EngineFailed as error:
            problem = _explain(error, image.reference)
            if pause is None or not isinstance(problem, Unreachable):
                raise problem from None
            time.sleep(pause)
        else:
            return


def _explain(error: EngineFailed, what: str) -> Problem:
    """One line: what was wanted, once; the Engine's reason without its preamble; what to do."""
    reason = str(error).rpartition("Error response from daemon: ")[2].removeprefix(f"docker pull {what}: ")
    said, registry = reason.lower(), what.partition("/")[0]
    if "no space left" in said:
        return NoSpace(f"the disk is full ({reason}): free some space; visantctl doctor says what takes it")
    if any(word in said for word in ("manifest unknown", "not found", "no matching manifest", "mismatch")):
        return Refused(f"the registry does not have {what} ({reason}): publish this release whole, or take another")
    if any(word in said for word in ("denied", "unauthorized", "no basic auth", "forbidden")):
        return Misconfigured(
            f"{registry} wants credentials for {what} ({reason}): sudo visantctl login {registry} --username NAME"
        )
    if "/" not in what:
        return Unreachable(f"{what} could not be loaded ({reason}): copy it anew, then the same command again")
    return Unreachable(
        f"{what} could not be pulled ({reason}): is the network up, and HTTPS_PROXY in .env.device right? "
        "The same command again, or --from FILE without a network"
    )
