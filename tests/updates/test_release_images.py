"""Images of two platforms under one name, in a real registry: each archive holds its own platform's."""

from __future__ import annotations

import gzip
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from release import images
from visantctl.errors import Problem

from tests.updates.conftest import numbered
from tests.updates.shop import Shop, docker

VERSION = numbered(95)


@pytest.fixture
def index(shop: Shop, tmp_path: Path) -> str:
    """`registry/name@sha256:...` of an image for amd64 and arm64, of which each is one small file."""
    name = f"{shop.registry}/{shop.run}/two-platforms"
    for architecture in images.ARCHITECTURES:
        (tmp_path / architecture).mkdir()
        (tmp_path / architecture / "architecture").write_text(architecture)
        packed = subprocess.run(["tar", "-C", str(tmp_path / architecture), "-c", "."], capture_output=True, check=True)
        command = ["docker", "import", "--platform", f"linux/{architecture}", "-", f"{name}:{architecture}"]
        subprocess.run(command, input=packed.stdout, check=True, capture_output=True)
        docker("push", f"{name}:{architecture}")
        docker("rmi", f"{name}:{architecture}")
    docker(
        "buildx", "imagetools", "create", "--tag", f"{name}:both", *(f"{name}:{one}" for one in images.ARCHITECTURES)
    )
    digest = json.loads(
        docker("buildx", "imagetools", "inspect", "--format", "{{json .Manifest.Digest}}", f"{name}:both")
    )
    return f"{name}@{digest}"


def test_of_an_index_each_archive_holds_its_own_platforms_image_and_this_machines_names_stay(
    index: str, tmp_path: Path
) -> None:
    tag = f"visant/camera:{VERSION}"
    subprocess.run(["docker", "import", "-", tag], input=b"", check=True, capture_output=True)
    before = docker("images", "--quiet", tag)
    for architecture in images.ARCHITECTURES:
        names = images.pulled({"camera": index}, architecture)
        packed = tmp_path / f"{architecture}.tar.gz"
        images.save(names, VERSION, packed, level=1)
        assert held(packed, tag) == architecture
    assert docker("images", "--quiet", tag) == before
    docker("rmi", tag)
    images.save(names, VERSION, packed, level=1)
    assert docker("images", "--quiet", tag) == "", "a name that was not there is not there afterwards"


def held(packed: Path, tag: str) -> str:
    """The architecture of the one image in a `docker save`, by its configuration."""
    with gzip.open(packed) as file, tarfile.open(fileobj=file) as tar:
        members = {member.name: member for member in tar}

        def read(name: str) -> Any:
            found = tar.extractfile(members[name])
            assert found is not None
            return json.loads(found.read())

        (one,) = read("manifest.json")
        assert one["RepoTags"] == [tag]
        return str(read(one["Config"])["architecture"])


def test_a_platform_that_an_index_lacks_and_a_registry_that_is_away_are_one_line(index: str) -> None:
    with pytest.raises(Problem, match=r"no image for linux/riscv64$"):
        images.pulled({"camera": index}, "riscv64")
    with pytest.raises(Problem, match=r"^docker buildx imagetools inspect: [^\n]+$"):
        images.pulled({"camera": index.replace("127.0.0.1:", "127.0.0.1:1")}, "amd64")
