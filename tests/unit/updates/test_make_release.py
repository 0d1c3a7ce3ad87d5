"""A release that is made for devices has no image with the fake camera; a test's release may."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from release import image_archive, make_release

DIGEST = "sha256:" + "0" * 64
REAL = f"camera=registry.example/visant/camera@{DIGEST}"
FAKE = f"camera=registry.example/visant/camera-emulation@{DIGEST}"


Make = Callable[..., bool]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """make_release.py build; returns whether there is a signed manifest afterwards."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    signers = tmp_path / "allowed_signers"
    signers.write_text(f'release namespaces="visant-release" {key.with_suffix(".pub").read_text()}')

    def run(*words: str) -> bool:
        arguments = ("--version", "1.2.0", "--key", str(key), "--allowed-signers", str(signers), "--out", str(tmp_path))
        monkeypatch.setattr(sys, "argv", ["make_release.py", "build", *arguments, *words])
        make_release.main()
        return (tmp_path / "1.2.0/release.json.sig").exists()

    return run


def test_an_image_for_emulation_is_refused_by_its_name(make: Make, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"camera-emulation@.*must not ship"):
        make("--image", FAKE)
    assert not (tmp_path / "1.2.0/release.json").exists()
    assert make("--image", FAKE, "--emulation")


def test_it_is_refused_by_its_label_under_any_name(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    label = {"visant.emulation": "true"}

    def docker(*words: str) -> str:
        if words[:2] == ("image", "inspect"):
            return label.get("visant.emulation", "") if "Labels" in words[3] else "1000"
        return ""

    monkeypatch.setattr(image_archive, "docker", docker)
    monkeypatch.setattr(image_archive, "save", lambda services, version, to, level: to.write_bytes(b"x"))
    with pytest.raises(SystemExit, match="must not ship"):
        make("--image", REAL, "--archive", "arm64")
    assert not (tmp_path / "1.2.0/release.json").exists()
    label.clear()
    assert make("--image", REAL, "--archive", "arm64")
