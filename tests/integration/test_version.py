"""One version: every file that names it says the same, and the tool that changes it reaches them all."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.product import TREE, VERSION
from visant_runtime.version import release_version

PACKAGES = ("contract", "runtime", "camera", "connector", "uploader", "cloud", "cli")


def tool(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(tree / "tools/version.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def tracked(*patterns: str) -> list[str]:
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(words, cwd=TREE, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The tree's files outside the tests."""
    for name in tracked(":!tests"):
        source = TREE / name
        if source.is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, tmp_path / name)
    return tmp_path


def test_every_file_says_the_same_version() -> None:
    done = tool(TREE, "--check")
    assert done.returncode == 0, done.stdout
    assert tool(TREE).stdout.strip() == VERSION


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_service_says_of_itself_is_that_version(package: str) -> None:
    assert release_version(f"visant-{package}") == VERSION


def test_a_new_version_reaches_every_file_that_builds_or_starts_something(copy: Path) -> None:
    assert tool(copy, "9.8.7-beta.6").stdout.strip() == "9.8.7-beta.6"
    assert tool(copy, "--check").returncode == 0
    built = (
        *tracked("*.toml", "*.yaml", "*.hcl", "*Dockerfile", "*.sh"),
        "deployment/.env.device.example",
        "README.md",
    )
    old = re.compile(rf"(?<![0-9.]){re.escape(VERSION)}(?![0-9.])")
    assert [name for name in built if (copy / name).is_file() and old.search((copy / name).read_text())] == []


@pytest.mark.parametrize("wrong", ["2.1", "v2.1.0", "2.1.0-emulation", "2.1.0b1", "2.1.0 2.2.0"])
def test_a_version_that_packages_or_releases_could_not_say_is_refused_with_one_line(copy: Path, wrong: str) -> None:
    done = tool(copy, *wrong.split())
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert wrong in done.stderr
    assert tool(copy).stdout.strip() == VERSION


def test_another_version_anywhere_is_named(copy: Path) -> None:
    package = copy / "cloud/pyproject.toml"
    package.write_text(package.read_text().replace(f'version = "{VERSION}"', 'version = "0.0.1"'))
    assert tool(copy, "--check").stdout.strip() == f"cloud/pyproject.toml says 0.0.1, pyproject.toml {VERSION}"
