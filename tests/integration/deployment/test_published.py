"""Owners, modes and content of what root runs on a device: what is wrong is found, and put right."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from visantctl import UPDATER_VERSION, cli
from visantctl.errors import Problem, Refused
from visantctl.host import permissions
from visantctl.host.place import Place
from visantctl.releases import published

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whose files these are")
FILES = {"compose.yaml": b"services: {}\n", "deployment/bin/visantctl": b"#!/bin/sh\n", "deployment/x.py": b"x = 1\n"}
PI = 1000


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A device with one signed release, as an update stages it."""
    root = tmp_path / "visant"
    for name, folder in (("ROOT", root), ("HOST_ROOT", tmp_path / "host"), ("UNIT_DIR", tmp_path / "units")):
        monkeypatch.setenv(f"VISANT_{name}", str(folder))
    monkeypatch.setenv("VISANT_UPDATE_LOG", str(tmp_path / "log"))
    place = Place.from_environment()
    place.prepare()
    folder = place.release("1.0.0")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if "/bin/" in name else 0o644
            tar.addfile(entry, io.BytesIO(content))
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
            (folder / name).chmod(entry.mode)
    (folder / "host.tar.gz").write_bytes(packed.getvalue())
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    value = {
        "format": 1, "version": "1.0.0", "revision": "r", "created_at": "t", "minimum_updater": UPDATER_VERSION,
        "rollout_percent": 100, "host": {"name": "host.tar.gz", "sha256": digest, "bytes": 1},
        "images": {"camera": {"reference": f"r.example/c@sha256:{'a' * 64}", "bytes": 1}},
    }  # fmt: skip
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "x", "-f", str(key)], check=True)
    place.allowed_signers.write_text(f'x@y namespaces="visant-release" {key.with_suffix(".pub").read_text()}')
    (folder / "release.json").write_text(json.dumps(value))
    words = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "visant-release", str(folder / "release.json")]
    subprocess.run(words, check=True, capture_output=True)
    place.current.symlink_to("releases/1.0.0")
    place.env_file.write_text(f"DEVICE_ID=A1\nVISANT_SPOOL={root}/spool\n")
    place.env_file.chmod(0o600)
    for name in ("secrets", "spool"):
        (root / name).mkdir(mode=0o750)
    (root / "secrets/device_token").write_text("secret\n")
    (root / "secrets/device_token").chmod(0o640)
    (root / "spool/one").write_text("a picture")
    if os.geteuid() == 0:
        permissions.mend(place)
    return place


def edit(path: Path) -> None:
    path.write_text("services: {camera: {privileged: true}}\n")


@pytest.mark.parametrize(
    ("name", "do"),
    [
        ("compose.yaml", edit),
        ("deployment/x.py", lambda path: path.write_text("x = 2\n")),
        ("deployment/x.py", Path.unlink),
        ("deployment/bin/visantctl", lambda path: (path.unlink(), path.symlink_to("/bin/true"))),
        ("deployment/json.py", lambda path: path.write_text("evil = 1\n")),
        ("deployment/__pycache__/x.cpython-311.pyc", lambda path: (path.parent.mkdir(), path.write_bytes(b"x"))),
    ],
)
def test_a_file_that_is_changed_gone_or_added_is_found_and_put_back(
    place: Place, name: str, do: Callable[[Path], object]
) -> None:
    assert published.changed(place, "1.0.0") == []
    do(place.release("1.0.0") / name)
    assert published.changed(place, "1.0.0") == [name]
    assert published.restore(place, "1.0.0") == [name]
    assert published.changed(place, "1.0.0") == []
    for kept, content in FILES.items():
        assert (place.release("1.0.0") / kept).read_bytes() == content
    assert os.access(place.release("1.0.0") / "deployment/bin/visantctl", os.X_OK)


def test_packed_files_that_were_changed_as_well_restore_nothing(place: Place) -> None:
    folder = place.release("1.0.0")
    (folder / "host.tar.gz").write_bytes(b"other")
    with pytest.raises(Refused, match="is not what the release"):
        published.restore(place, "1.0.0")
    manifest = folder / "release.json"
    manifest.write_text(manifest.read_text().replace("1.0.0", "1.0.1"))
    with pytest.raises(Refused, match="signature"):
        published.changed(place, "1.0.0")


def test_a_release_of_an_older_updater_cannot_be_compared_and_is_no_change(place: Place) -> None:
    (place.release("1.0.0") / "host.tar.gz").unlink()
    with pytest.raises(Problem, match="did not keep its packed files"):
        published.changed(place, "1.0.0")


@as_root
def test_what_the_old_guide_did_to_owners_and_modes_is_found_and_mended(place: Place) -> None:
    assert permissions.wrong(place) == []
    subprocess.run(["chown", "-R", f"{PI}:{PI}", str(place.root)], check=True)
    subprocess.run(["chmod", "-R", "755", str(place.root)], check=True)
    found = {str(one.path.relative_to(place.root)) for one in permissions.wrong(place)}
    assert {".", ".env.device", "allowed_signers", "current", "state", "secrets", "secrets/device_token"} <= found
    assert {"releases/1.0.0/compose.yaml", "releases/1.0.0/deployment/bin/visantctl", "spool", "spool/one"} <= found
    assert cli.main(["restore"]) == 0
    assert permissions.wrong(place) == []
    modes = {name: (place.root / name).stat().st_mode & 0o777 for name in (".env.device", "secrets")}
    assert modes == {".env.device": 0o600, "secrets": 0o750}
    owner = (place.root / "spool/one").stat()
    assert (owner.st_uid, owner.st_gid) == (10001, 10001), "or the uploader could neither deliver nor take pictures"


@as_root
@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (".", 0o777),
        ("releases", 0o775),
        ("releases/1.0.0/deployment/x.py", 0o666),
        ("allowed_signers", 0o664),
        (".env.device", 0o640),
        ("secrets", 0o755),
        ("secrets/device_token", 0o600),
    ],
)
def test_each_mode_that_lets_others_in_or_the_services_out_is_found(place: Place, name: str, mode: int) -> None:
    (place.root / name).chmod(mode)
    [found] = permissions.wrong(place)
    assert found.path == place.root / name
    assert f"mode {mode:o}" in found.why
    assert permissions.mend(place) == 1
    assert permissions.wrong(place) == []
