"""The host's part of a release is whole, and runs on a bare Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from release import host_bundle
from visantctl.updates.prepare import unpack

TREE = Path(__file__).resolve().parents[3]


def test_every_file_of_deployment_but_the_release_tools_is_in_the_bundle() -> None:
    packed = {name for name, _ in host_bundle.files(TREE)}
    here = (one for one in (TREE / "deployment").rglob("*.*") if one.is_file() and "__pycache__" not in one.parts)
    names = {str(one.relative_to(TREE)) for one in here}
    assert {one for one in names - packed if "_cache" not in one} == {
        str(one.relative_to(TREE)) for one in (TREE / "deployment/release").glob("*.*")
    }


def test_what_was_unpacked_passes_its_selftest_with_nothing_but_the_standard_library(tmp_path: Path) -> None:
    bundle = tmp_path / "host.tar.gz"
    bundle.write_bytes(host_bundle.build(TREE))
    unpack(bundle, tmp_path / "unpacked")
    done = subprocess.run(
        [sys.executable, "-S", "-B", str(tmp_path / "unpacked/deployment/bin/visantctl"), "selftest"],
        env={"PATH": os.environ["PATH"], "VISANT_ROOT": str(tmp_path / "root")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("updater ")


def test_the_folder_deployment_alone_makes_the_settings_of_a_device(tmp_path: Path) -> None:
    bundle = tmp_path / "host.tar.gz"
    bundle.write_bytes(host_bundle.build(TREE))
    unpack(bundle, tmp_path / "release")
    (tmp_path / "release/deployment").rename(tmp_path / "deployment")  # as a technician brings it along
    done = subprocess.run(
        [sys.executable, "-S", "-B", str(tmp_path / "deployment/bin/visantctl"), "configure", "DEVICE_ID=A1"],
        env={"PATH": os.environ["PATH"], "VISANT_ROOT": str(tmp_path / "root")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "root/.env.device").read_text()
    assert "\nDEVICE_ID=A1\n" in made
    assert "# The cloud's address" in made, "with the comments of the template"
    assert made.replace("DEVICE_ID=A1", "DEVICE_ID=") == (TREE / ".env.device.example").read_text()
