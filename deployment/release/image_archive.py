"""The images of one architecture in one `docker save`, for hosts without a registry."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path


def docker(*arguments: str) -> str:
    """Output of a docker command; a failure ends the release."""
    return subprocess.run(["docker", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def fetch(references: Mapping[str, str], version: str, architecture: str) -> dict[str, int]:
    """Pull each service's image for the architecture and tag it as devices do; service to unpacked bytes."""
    sizes = {}
    for service, reference in references.items():
        docker("pull", "--quiet", "--platform", f"linux/{architecture}", reference)
        docker("tag", reference, tag(service, version))
        sizes[service] = int(docker("image", "inspect", "--format", "{{.Size}}", reference))
    return sizes


def for_emulation(reference: str) -> bool:
    """Whether an image that was pulled has the label of services/Dockerfile for what must not ship."""
    return docker("image", "inspect", "--format", '{{index .Config.Labels "visant.emulation"}}', reference) == "true"


def save(services: list[str], version: str, to: Path, level: int = 6) -> None:
    """`docker save` of the tagged images, gzipped."""
    with subprocess.Popen(
        ["docker", "save", *(tag(service, version) for service in services)], stdout=subprocess.PIPE
    ) as process:
        if process.stdout is None:
            raise RuntimeError("docker save has no output")
        with gzip.GzipFile(to, "wb", compresslevel=level, mtime=0) as file:
            shutil.copyfileobj(process.stdout, file, 1 << 20)
    if process.returncode != 0:
        to.unlink(missing_ok=True)
        raise SystemExit(f"docker save failed with exit code {process.returncode}")


def tag(service: str, version: str) -> str:
    """The local name that the Compose file uses."""
    return f"visant/{service}:{version}"
