"""Updates on a card that is full, damaged, or lost its power in the middle. The Engine is a stub here."""

import errno
import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from visantctl.errors import EngineFailed, Refused
from visantctl.host import durable
from visantctl.host.engine import Engine
from visantctl.host.log import Log
from visantctl.host.place import Place
from visantctl.host.settings import Settings
from visantctl.releases import images, manifest
from visantctl.releases.manifest import Release
from visantctl.updates import obtain, prepare
from visantctl.updates.commit import commit
from visantctl.updates.ledger import Ledger
from visantctl.updates.pending import Pending
from visantctl.updates.reconcile import reconcile
from visantctl.wiring import Device


class StubEngine(Engine):
    """Has every image; remembers what it was asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[str, ...]] = []
        self.compose_file_parses = True

    def holding(self, lock: int) -> Engine:
        return self

    def wait(self, patience: float) -> None:
        return

    def data_root(self) -> Path:
        return Path("/nowhere")

    def run(self, *arguments: str, **how: Any) -> str:
        self.done.append(arguments)
        if arguments[0] == "compose" and "config" in arguments and not self.compose_file_parses:
            raise EngineFailed("services.camera additional property 'foo' is not allowed")
        if "--images" in arguments:
            return "visant/camera:any\n"
        return "sha256:1\n" if arguments[:2] == ("image", "inspect") else ""

    def removed(self) -> set[str]:
        return {one[-1] for one in self.done if one[:2] == ("image", "rm")}


class Shop:
    """A release source that has the host files of every release."""

    has_registry = True

    def fetch(self, release: Release, wanted: object, to: Path) -> None:
        to.write_bytes(_bundle())


def _bundle() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("compose.yaml", "deployment/bin/visantctl"):
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"#"))
    return packed.getvalue()


def release(version: str) -> Release:
    reference = f"registry/camera@sha256:{hashlib.sha256(version.encode()).hexdigest()}"
    return manifest.parse(
        json.dumps(
            {
                "format": 1,
                "version": version,
                "revision": "r",
                "created_at": "2026-11-01T00:00:00Z",
                "minimum_updater": 1,
                "rollout_percent": 100,
                "images": {"camera": {"reference": reference, "bytes": 1}},
                "host": {"name": "h.tar.gz", "sha256": "0" * 64, "bytes": 1},
            }
        ).encode()
    )


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """1.0.0 runs and is good."""
    place = Place(tmp_path, tmp_path / "update.log", tmp_path / "units")
    place.units.mkdir()
    place.prepare()
    device = Device(place, Settings(min_free_bytes=0, soak=0, settle=0), StubEngine(), Ledger(place), Log(place.log))
    have(device, "1.0.0")
    durable.point(place.current, "releases/1.0.0")
    device.ledger.good = "1.0.0"
    return device


def have(device: Device, version: str) -> None:
    folder = device.place.release(version)
    folder.mkdir()
    (folder / "release.json").write_bytes(release(version).raw)
    (folder / "compose.yaml").write_text("services: {}")
    (folder / "deployment/bin").mkdir(parents=True)
    (folder / "deployment/bin/visantctl").touch()


def damage(device: Device, version: str) -> None:
    (device.place.release(version) / "release.json").write_bytes(bytes(400))


def switched(device: Device, phase: str) -> Pending:
    """As far as `switch` had come."""
    have(device, "1.1.0")
    durable.point(device.place.previous, "releases/1.0.0")
    durable.point(device.place.current, "releases/1.1.0")
    pending = Pending.begin(device.place.state, candidate="1.1.0", good="1.0.0", older=None, baseline={})
    return pending.advance(device.place.state, phase)  # type: ignore[arg-type]


def test_a_damaged_manifest_of_the_previous_release_keeps_no_update_from_its_end(device: Device) -> None:
    pending = switched(device, "soaking")
    damage(device, "1.0.0")
    commit(device, pending)
    assert device.ledger.good == "1.1.0"
    assert Pending.read(device.place.state) is None
    assert device.place.release("1.0.0").is_dir(), "the release to go back to"


def test_a_damaged_manifest_of_the_release_to_go_back_to_keeps_no_boot_from_going_back(device: Device) -> None:
    switched(device, "rolling_back")
    damage(device, "1.0.0")
    reconcile(device)
    assert device.place.linked_version(device.place.current) == "1.0.0"
    assert Pending.read(device.place.state) is None


def test_a_damaged_release_is_fetched_again(device: Device) -> None:
    have(device, "1.1.0")
    damage(device, "1.1.0")
    prepare._stage(device, Shop(), release("1.1.0"), b"signature")  # type: ignore[arg-type]
    assert device.release("1.1.0").version == "1.1.0"


def test_on_a_full_disk_a_boot_goes_back(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    switched(device, "soaking")

    def full(path: Path, content: bytes, mode: int = 0o644) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(durable, "write_file", full)
    reconcile(device)
    assert device.place.linked_version(device.place.current) == "1.0.0"
    assert Pending.read(device.place.state) is None


def test_releases_that_were_refused_do_not_pile_up(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = device.engine
    assert isinstance(engine, StubEngine)
    engine.compose_file_parses = False
    monkeypatch.setattr(sys, "executable", "/bin/true")  # the candidate's own updater works
    for version in ("1.1.0", "1.2.0", "1.3.0"):
        with pytest.raises(Refused, match="Compose file"):
            prepare.prepare(device, Shop(), release(version), b"signature")  # type: ignore[arg-type]
    assert sorted(one.name for one in device.place.releases.iterdir()) == ["1.0.0", "1.3.0"]
    assert {"visant/camera:1.1.0", "visant/camera:1.2.0"} <= engine.removed()
    assert not {name for name in engine.removed() if "1.0.0" in name or "1.3.0" in name}


def test_images_are_on_the_medium_before_they_are_called_there(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    order = []
    monkeypatch.setattr(os, "sync", lambda: order.append("sync"))
    monkeypatch.setattr(images, "record", lambda *_: order.append("record"))
    have(device, "1.1.0")
    obtain.obtain_images(device, Shop(), release("1.1.0"))  # type: ignore[arg-type]
    assert order == ["sync", "record"]


def test_images_that_were_being_fetched_when_the_power_went_are_fetched_anew(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = device.engine
    assert isinstance(engine, StubEngine)
    have(device, "1.1.0")
    monkeypatch.setattr(images, "record", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))

    def cut_short() -> None:
        with pytest.raises(KeyboardInterrupt):
            obtain.obtain_images(device, Shop(), release("1.1.0"))  # type: ignore[arg-type]

    cut_short()
    cut_short()  # visantctl was killed and the kernel lives: what is complete is kept
    assert engine.removed() == set()
    (tmp_path / "boot_id").write_text("another boot")
    monkeypatch.setattr(obtain, "BOOT_ID", tmp_path / "boot_id")
    cut_short()
    assert "visant/camera:1.1.0" in engine.removed()
