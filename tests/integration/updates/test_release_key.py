"""The owner of a fork makes a key, signs a release with it, and devices trust what was signed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from release.images import SERVICES
from visantctl.releases.source import trusted_release

TREE = Path(__file__).resolve().parents[3]
DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "keys/release"


def new_key(tmp_path: Path, key: Path, **env: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "KEY": str(key), "NAME": "", "SIGNERS": str(tmp_path / "allowed_signers"), **env}
    script = str(TREE / "deployment/release/new_key.sh")
    return subprocess.run([script], env=given, capture_output=True, text=True, check=False)


def build(tmp_path: Path, key: Path, signers: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TREE / "deployment/release/make_release.py"), "build", "--version", "1.2.0",
         *(word for one in SERVICES for word in ("--image", f"{one}=registry.example/{one}@{DIGEST}")),
         "--key", str(key), "--allowed-signers", str(signers), "--out", str(tmp_path / "dist")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


class Folder:
    """A release as it lies on the web server."""

    has_registry = True

    def __init__(self, path: Path) -> None:
        self._path = path

    def signed_manifest(self) -> tuple[bytes, bytes]:
        return (self._path / "release.json").read_bytes(), (self._path / "release.json.sig").read_bytes()

    def fetch(self, *_: object) -> None:
        raise NotImplementedError


def test_a_new_key_signs_a_release_that_a_device_trusts(tmp_path: Path, key: Path) -> None:
    made = new_key(tmp_path, key)
    assert made.returncode == 0, made.stderr
    assert key.stat().st_mode & 0o077 == 0
    signers = tmp_path / "allowed_signers"
    assert signers.read_text().startswith('release namespaces="visant-release" ssh-ed25519 ')
    assert "PRIVATE" not in made.stdout + signers.read_text()

    done = build(tmp_path, key, signers)
    assert done.returncode == 0, done.stderr
    release, _, signer = trusted_release(Folder(tmp_path / "dist/1.2.0"), signers)
    assert (release.version, signer) == ("1.2.0", "release")
    assert release.allowed_signers == signers.read_text()


def test_a_key_is_never_overwritten_nor_put_into_the_checkout(tmp_path: Path, key: Path) -> None:
    assert new_key(tmp_path, key).returncode == 0
    before = key.read_bytes()
    for wrong, why in (
        (new_key(tmp_path, key), "there already"),
        (new_key(tmp_path, tmp_path / "another", NAME="release"), "in "),
        (new_key(tmp_path, TREE / "deployment/release-key"), "lies in the checkout"),
        (new_key(tmp_path, tmp_path / "third", NAME="two words"), "NAME=two words"),
    ):
        assert wrong.returncode == 1
        assert why in wrong.stderr
        assert wrong.stderr.count("\n") == 1
    assert key.read_bytes() == before
    assert new_key(tmp_path, tmp_path / "second").returncode == 0
    assert len((tmp_path / "allowed_signers").read_text().splitlines()) == 2


def test_a_release_is_not_made_without_a_key_list_or_with_a_key_that_is_not_in_it(tmp_path: Path, key: Path) -> None:
    assert new_key(tmp_path, key).returncode == 0
    missing = build(tmp_path, key, tmp_path / "absent")
    assert missing.returncode == 1
    assert "make release-key" in missing.stderr
    (tmp_path / "others").write_text((tmp_path / "allowed_signers").read_text().replace("AAAAC3", "AAAAC4"))
    stranger = build(tmp_path, key, tmp_path / "others")
    assert stranger.returncode == 1
    assert "does not hold the public half of" in stranger.stderr
    assert "Traceback" not in stranger.stderr
    assert not (tmp_path / "dist/1.2.0/release.json").exists()


def test_an_empty_secret_is_one_line(tmp_path: Path, key: Path) -> None:
    assert new_key(tmp_path, key).returncode == 0
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "empty").chmod(0o600)
    done = build(tmp_path, tmp_path / "empty", tmp_path / "allowed_signers")
    assert done.returncode == 1
    assert "empty: no private key" in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_private_key_is_in_the_repository() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TREE, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        path = TREE / name
        if path.is_file() and path.stat().st_size < 1_000_000:
            assert b"-----BEGIN OPENSSH PRIV" + b"ATE KEY" not in path.read_bytes(), name
