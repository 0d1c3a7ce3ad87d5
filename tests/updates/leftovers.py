"""What a run has on the Engine, which others use as well: everything carries the process id of the run in its name."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from tests.updates.shop import TREE, docker

_LAB = Path(os.environ.get("LAB_STATE") or Path.home() / ".cache/visant-lab")
_PROJECT = re.compile(r"v[a-z](\d+)(-\d+)?")
"""Compose projects of the tests' devices."""
_LABEL = "com.docker.compose.project"
_KINDS = (("container", ("--all",), "Names"), ("network", (), "Name"), ("volume", (), "Name"))
_IMAGE = re.compile(r"(?:.*/)?updates-(\d+)/.*|visant/[a-z]+:0\.\d+\.(\d+)\b.*")


def of(pid: int) -> list[str]:
    """Containers, networks, volumes and image names of one run, as `kind name`."""
    things = [f"{kind} {name}" for kind, name, owner in _things() if owner == pid]
    return things + [f"image {name}" for name in _images() if _owner(_IMAGE, name) == pid]


def remove_images(pid: int) -> None:
    """Tags and digests; their containers must be gone."""
    if names := [name for name in _images() if _owner(_IMAGE, name) == pid]:
        docker("rmi", "--force", *names)


def sweep() -> None:
    """Remove what runs that were killed have left: those whose process is gone."""
    for kind, name, owner in _things():
        if not Path(f"/proc/{owner}").exists():
            _quietly(kind, "rm", *(["--force", "--volumes"] if kind == "container" else []), name)
    for name in _images():
        if not Path(f"/proc/{_owner(_IMAGE, name)}").exists():
            _quietly("rmi", "--force", name)
    for folder in _LAB.glob("updates-*"):
        if not Path(f"/proc/{folder.name.removeprefix('updates-')}").exists():
            forget = [str(TREE / "lab/registry.sh"), "forget"]
            subprocess.run(forget, env={**os.environ, "LAB_REGISTRY": folder.name}, check=False, timeout=60)


def wait_for_orphans(seconds: float) -> None:
    """Workers outlive the run that was told to end by the moment that they need to tidy up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        owners = {owner for _, _, owner in _things()} | {_owner(_IMAGE, name) for name in _images()}
        if not any(_is_orphan(owner) for owner in owners):
            return
        time.sleep(0.5)


def _is_orphan(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] == "1"
    except FileNotFoundError:
        return False


def _things() -> list[tuple[str, str, int]]:
    found = []
    for kind, words, name in _KINDS:
        form = f'{{{{.Label "{_LABEL}"}}}} {{{{.{name}}}}}'
        for line in docker(kind, "ls", *words, "--format", form).splitlines():
            project, _, thing = line.partition(" ")
            if owner := _owner(_PROJECT, project):
                found.append((kind, thing, owner))
    return found


def _images() -> list[str]:
    """All names that are of some run, also those by digest alone."""
    names = set()
    for line in docker("images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}").splitlines():
        repository, tag, digest = line.split()
        name = f"{repository}@{digest}" if tag == "<none>" else f"{repository}:{tag}"
        if _owner(_IMAGE, name):
            names.add(name)
    return sorted(names)


def _owner(form: re.Pattern[str], name: str) -> int:
    """Process id in the name; 0 when it is not of these tests."""
    match = form.fullmatch(name)
    return int(next(filter(None, match.groups()), 0)) if match else 0


def _quietly(*words: str) -> None:
    """Another run may sweep at the same time."""
    subprocess.run(["docker", *words], capture_output=True, check=False, timeout=120)


if __name__ == "__main__":
    wait_for_orphans(30)
    sweep()
