"""What make_release.py lets into a release, and that it says in one line what it does not."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from release import images, make_release
from visantctl.errors import Problem

from tests.support.product import VERSION

DIGEST = "sha256:" + "0" * 64
REAL = [word for one in images.SERVICES for word in ("--image", f"{one}=registry.example/visant/{one}@{DIGEST}")]
FAKE = [word.replace("visant/camera@", "visant/camera-emulation@") for word in REAL]
ABOUT = {"Id": DIGEST, "Size": 1000, "Architecture": "arm64"}


class Workshop:
    """A folder with a key and its list, and make_release.py over them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.key, self.signers = folder / "key", folder / "allowed_signers"
        self._monkeypatch = monkeypatch
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        self.signers.write_text(f'release namespaces="visant-release" {self.key.with_suffix(".pub").read_text()}')

    def run(self, action: str, *words: str) -> int:
        key = [] if action == "images" or "--key" in words else ["--key", str(self.key)]
        out = [] if action == "images" or "--out" in words else ["--out", str(self.folder)]
        signers = ["--allowed-signers", str(self.signers)] if action in ("archive", "release", "build") else []
        self._monkeypatch.setattr(sys, "argv", ["make_release.py", action, *key, *out, *signers, *words])
        return make_release.main()

    def build(self, *words: str) -> bool:
        """Whether there is a signed manifest afterwards."""
        self.run("build", "--version", "1.2.0", *words)
        return (self.folder / "1.2.0/release.json.sig").exists()

    def engine(self, labels: dict[str, str], **about: Any) -> None:
        """Every image that is pulled has these labels; nothing is asked of a real Engine or registry."""
        told = [{**ABOUT, "Config": {"Labels": labels}, **about}]

        def docker(*words: str) -> str:
            return json.dumps(told if words[:2] == ("image", "inspect") else {"schemaVersion": 2})

        self._monkeypatch.setattr(images, "docker", docker)
        self._monkeypatch.setattr(images, "save", lambda names, version, to, level: to.write_bytes(b"x"))


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    return Workshop(tmp_path, monkeypatch)


def test_an_image_for_emulation_is_refused_by_its_name(workshop: Workshop) -> None:
    with pytest.raises(SystemExit, match=r"camera-emulation@.*must not ship"):
        workshop.build(*FAKE)
    assert not (workshop.folder / "1.2.0/release.json").exists()
    assert workshop.build(*FAKE, "--emulation")


def test_it_is_refused_by_its_label_under_any_name(workshop: Workshop) -> None:
    version = {"org.opencontainers.image.version": "1.2.0"}
    workshop.engine({**version, "visant.emulation": "true"})
    with pytest.raises(SystemExit, match="must not ship"):
        workshop.build(*REAL, "--archive", "arm64")
    assert not (workshop.folder / "1.2.0/release.json").exists()
    workshop.engine(version)
    assert workshop.build(*REAL, "--archive", "arm64")


@pytest.mark.parametrize(
    ("labels", "about", "why"),
    [
        ({"org.opencontainers.image.version": "1.1.0"}, {}, r"of version 1\.1\.0, the release is 1\.2\.0"),
        ({}, {}, "of version None"),
        ({"org.opencontainers.image.version": "1.2.0"}, {"Architecture": "amd64"}, "for amd64, not for arm64"),
    ],
)
def test_an_image_of_another_version_or_machine_is_refused(
    workshop: Workshop, labels: dict[str, str], about: dict[str, Any], why: str
) -> None:
    workshop.engine(labels, **about)
    with pytest.raises(SystemExit, match=why):
        workshop.build(*REAL, "--archive", "arm64")
    assert not (workshop.folder / "1.2.0/release.json").exists()


def test_of_an_index_the_platforms_own_image_is_pulled(monkeypatch: pytest.MonkeyPatch) -> None:
    def one(architecture: str, digit: str, system: str = "linux") -> dict[str, Any]:
        return {"digest": f"sha256:{digit * 64}", "platform": {"os": system, "architecture": architecture}}

    index = {"manifests": [one("unknown", "a", "unknown"), one("amd64", "b"), one("arm64", "c")]}
    asked = []

    def docker(*words: str) -> str:
        asked.append(words)
        return json.dumps(index)

    monkeypatch.setattr(images, "docker", docker)
    reference = f"registry.example:5000/visant/camera@{DIGEST}"
    found = {arch: images.pulled({"camera": reference}, arch)["camera"] for arch in ("amd64", "arm64")}
    assert found == {
        arch: f"registry.example:5000/visant/camera@sha256:{d * 64}" for arch, d in zip(found, "bc", strict=True)
    }
    assert ("pull", "--quiet", "--platform", "linux/arm64", found["arm64"]) in asked
    index["manifests"].pop()
    with pytest.raises(Problem, match="no image for linux/arm64"):
        images.pulled({"camera": reference}, "arm64")


WRONG = [
    ("archive", "--platform", "arm64"),
    ("archive", "--platform", "linux/arm64,linux/riscv64"),
    ("archive", "--platform", "linux/arm64/v8"),
    ("archive", "--platform", ""),
    ("archive", "--key", "/no/such/key"),
    ("archive", "--key", __file__),
    ("archive", "--out", "/proc/version"),
    ("release", "--registry", ""),
    ("release", "--registry", "https://registry.example/me"),
    ("release", "--registry", "Registry.example/me"),
    ("release",),
    ("images", "--registry", "registry.example/me", "--platform", "windows/amd64"),
    ("build", "--version", "1.2", *REAL),
    ("build", "--version", "1.2.0"),
    ("build", "--version", "1.2.0", *REAL[2:]),
    ("build", "--version", "1.2.0", *REAL, *REAL[:2]),
    ("build", "--version", "1.2.0", "--image", "camera"),
    ("build", "--version", "1.2.0", *REAL, "--image", f"camra=registry.example/camera@{DIGEST}"),
    ("build", "--version", "1.2.0", *(word.replace(DIGEST, "2.0.0") for word in REAL)),
    ("build", "--version", "1.2.0", *REAL, "--archive", "armhf"),
    ("build", "--version", "1.2.0", *REAL, "--rollout", "500"),
    ("build", "--version", "1.2.0", *REAL, "--rollout", "some"),
    ("build", "--version", "1.2.0", *REAL, "--compose", "/no/such/compose.yaml"),
    ("build", "--version", "1.2.0", *REAL, "--tree", "/no/such/tree"),
    ("offer", "--version", "9.9.9"),
    ("offer", "--version", "9.9.9", "--channel", "../x"),
    ("hand-over",),
    (),
]


@pytest.mark.parametrize("words", WRONG, ids=lambda words: " ".join(words)[:60])
def test_wrong_input_is_one_line_and_nothing_is_signed(
    workshop: Workshop, words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_is_built(*_: object) -> None:
        raise AssertionError("it went on to build")

    monkeypatch.setattr(images, "_build", nothing_is_built)
    with pytest.raises(SystemExit) as stop:
        workshop.run(*words) if words else workshop.run("")
    said = capsys.readouterr().err if isinstance(stop.value.code, int) else f"{stop.value.code}\n"
    assert stop.value.code not in (0, None)
    assert said.count("\n") == 1, said
    assert not list(workshop.folder.rglob("release.json"))


@pytest.mark.parametrize("what", ["not json", "[]", "{}"])
def test_a_damaged_release_is_not_offered(workshop: Workshop, what: str) -> None:
    (workshop.folder / "1.2.0").mkdir()
    (workshop.folder / "1.2.0/release.json").write_text(what)
    with pytest.raises(SystemExit, match=r"\S"):
        workshop.run("offer", "--version", "1.2.0")
    assert not (workshop.folder / "stable/release.json").exists()


def test_a_version_is_made_once(workshop: Workshop) -> None:
    (workshop.folder / VERSION).mkdir()
    (workshop.folder / VERSION / "release.json").touch()
    with pytest.raises(SystemExit, match=rf"{VERSION} is made already.*tools/version\.py"):
        workshop.run("archive")
