"""Any state of the device plus a release that can be obtained ends running.

The real updater on a real folder, with an Engine, a registry and a clock of memory: what it does is killed at any step,
images are pruned at any step, and in the end a boot with the registry, or a file, must leave a whole release running.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from visantctl.errors import Busy, EngineFailed, Problem, Unreachable
from visantctl.host.engine import Engine
from visantctl.host.kill_point import KILL_POINTS
from visantctl.host.lock import update_lock
from visantctl.host.log import Log
from visantctl.host.place import Place
from visantctl.host.settings import Settings
from visantctl.releases import manifest
from visantctl.releases.manifest import Release
from visantctl.releases.stack import Container
from visantctl.updates import prepare
from visantctl.updates import update as updating
from visantctl.updates.boot import boot
from visantctl.updates.ledger import Ledger
from visantctl.updates.pending import Pending
from visantctl.updates.probe import Observation
from visantctl.updates.reconcile import Stuck
from visantctl.updates.update import back, update
from visantctl.wiring import Device

SERVICES = ("camera", "uploader")
GOOD = ("1.0.0", "1.1.0", "1.2.0")
UNHEALTHY, NO_START = "1.3.0", "1.4.0"
INSTALLED: tuple[tuple[str, ...], ...] = ((), GOOD[:1], GOOD[:2])
EVERY = (*GOOD, UNHEALTHY, NO_START)


IN_MEMORY = Path("/dev/shm")
"""Hundreds of small folders: a busy disk would take minutes for them."""


class Killed(BaseException):
    """The power went."""


def release(version: str) -> Release:
    images = {
        one: {"reference": f"r/{one}@sha256:{hashlib.sha256(f'{one}{version}'.encode()).hexdigest()}", "bytes": 1}
        for one in SERVICES
    }
    value = {
        "format": 1, "version": version, "revision": "r", "created_at": "2026-11-01T00:00:00Z", "minimum_updater": 1,
        "rollout_percent": 100, "images": images, "host": {"name": "h.tar.gz", "sha256": "0" * 64, "bytes": 1},
        "archives": {"arm64": {"name": "i.tar", "sha256": "0" * 64, "bytes": 1}},
    }  # fmt: skip
    return manifest.parse(json.dumps(value).encode())


class FakeEngine(Engine):
    """Images, containers and a registry in memory; `docker` as far as the updater uses it."""

    def __init__(self) -> None:
        super().__init__()
        self.images: dict[str, str] = {}
        """Tag or reference to image id."""
        self.runs: dict[str, tuple[str, str]] = {}
        """Service to (image id, status)."""
        self.registry = True
        self.fails = UNHEALTHY
        """The release whose services are unhealthy."""
        self.has_file: Callable[[str], bool] = lambda _version: True
        """Whether a release's Compose file is here."""
        self.references = {
            image.reference: f"sha256:{image.service}-{version}"
            for version in EVERY
            for image in release(version).images
        }

    def holding(self, lock: int) -> Engine:
        return self

    def wait(self, patience: float) -> None:
        return

    def answers(self) -> bool:
        return True

    def data_root(self) -> Path:
        return Path("/nowhere")

    def architecture(self) -> str:
        return "arm64"

    def prune(self) -> None:
        """`docker image prune --all --force`: what no container uses, running or not."""
        used = {image for image, _ in self.runs.values()}
        self.images = {name: image for name, image in self.images.items() if image in used}

    def show(self, *arguments: str, **_: Any) -> None:
        self.run(*arguments)

    def run(self, *arguments: str, **how: Any) -> str:
        match arguments:
            case ("image", "inspect", *_, name):
                found = self.images.get(name) or (name if name in self.images.values() else None)
                if found is None:
                    raise EngineFailed(f"docker image inspect: no such image {name}")
                return found
            case ("tag", old, new):
                self.images[new] = self.run("image", "inspect", old)
            case ("pull", reference):
                if not self.registry:
                    raise EngineFailed("docker pull: connection refused")
                self.images[reference] = self.references[reference]
            case ("load", *_, archive):
                for name in Path(archive).read_text().split():
                    self.images[name] = f"sha256:{name.removeprefix('visant/').replace(':', '-')}"
            case ("image", "rm", name):
                if name not in self.images:
                    raise EngineFailed("docker image rm: no such image")
                if [*self.images.values()].count(self.images[name]) == 1 and self.images[name] in {
                    image for image, _ in self.runs.values()
                }:
                    raise EngineFailed("docker image rm: in use")
                del self.images[name]
            case ("compose", *words):
                return self._compose(words, how.get("env") or {})
        return ""

    def _compose(self, words: list[str], env: dict[str, str]) -> str:
        version = env.get("VISANT_VERSION", "")
        if "config" in words:
            if not self.has_file(version):
                raise EngineFailed("docker compose config: no such file")
            names = SERVICES if "--services" in words else [f"visant/{one}:{version}" for one in SERVICES]
            return "\n".join(names)
        if "down" in words:
            self.runs = {}
        if "stop" in words:
            self.runs = {name: (image, "exited") for name, (image, _) in self.runs.items()}
        if "up" in words:
            for name in SERVICES:
                image = self.run("image", "inspect", f"visant/{name}:{version}")
                status = "created" if image.endswith(NO_START) and name == "uploader" else "running"
                self.runs[name] = (image, status)
            if any(status == "created" for _, status in self.runs.values()):
                raise EngineFailed("docker compose up: no such program")
            if "--wait" in words and any(self.is_unhealthy(image) for image, _ in self.runs.values()):
                raise EngineFailed("docker compose up: container uploader is unhealthy")
        return ""

    def is_unhealthy(self, image: str) -> bool:
        return image.endswith((UNHEALTHY, self.fails))

    def health(self, image: str) -> str:
        return "unhealthy" if self.is_unhealthy(image) else "healthy"

    @property
    def version(self) -> str | None:
        """Whose containers run, where all are of one release."""
        found = {image.rpartition("-")[2] for image, status in self.runs.values() if status == "running"}
        return found.pop() if len(found) == 1 and len(self.runs) == len(SERVICES) else None


@dataclass(frozen=True)
class FakeDevice(Device):
    """Sees its services through the fake Engine."""

    def look(self) -> Observation:
        assert isinstance(self.engine, FakeEngine)
        found = tuple(
            Container(name, name, image, image, status, self.engine.health(image), 0, "", (), ())
            for name, (image, status) in self.engine.runs.items()
        )
        return Observation(found, redis=True, camera="serving", stream=True)


class Offer:
    """A source that has one release; its signature has been checked."""

    def __init__(self, version: str, *, has_registry: bool = True) -> None:
        self.release = release(version)
        self.has_registry = has_registry

    def fetch(self, wanted_of: Release, wanted: manifest.Blob, to: Path) -> None:
        if wanted.name == "i.tar":
            to.write_text(" ".join(wanted_of.tags.values()))
            return
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name in ("compose.yaml", "deployment/bin/visantctl"):
                member = tarfile.TarInfo(name)
                member.size = 1
                tar.addfile(member, io.BytesIO(b"#"))
        to.write_bytes(packed.getvalue())


class World:
    """One device, and what happens to it."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.engine = FakeEngine()
        place = Place(root, root / "update.log", root / "units")
        place.units.mkdir(parents=True)
        place.prepare()
        self.engine.has_file = lambda version: (place.release(version) / "compose.yaml").is_file()
        limits = Settings(min_free_bytes=0, soak=0, settle=0, start_timeout=0, idle_wait=0)
        self.device = FakeDevice(place, limits, self.engine, Ledger(place), Log(place.log))
        self.kill_at = self.prune_at = self.cut_at = ""
        patch.setattr(os, "kill", self._die)
        patch.setattr(updating, "trusted_release", lambda source, _: (source.release, b"signature", "a key"))

    def _die(self, pid: int, _signal: int) -> None:
        assert pid == os.getpid()
        point = os.environ["VISANT_KILL_AT"]
        if point == self.cut_at:
            self.engine.registry = False
        if point == self.prune_at:
            self.engine.prune()
        if point == self.kill_at:
            raise Killed

    def tried(self, work: Any) -> None:
        with contextlib.suppress(Killed, Problem, OSError):
            work()
        self.kill_at = self.prune_at = self.cut_at = ""

    def assert_runs(self, version: str | None = None) -> None:
        device, state = self.device, self.device.place.state
        assert Pending.read(state) is None
        good = device.ledger.good
        assert good in GOOD
        assert version in (None, good)
        assert self.engine.version == good == device.place.linked_version(device.place.current)
        told = {one for one, entry in device.ledger.quarantine.items() if "operator" not in entry["reason"]}
        kept = {event.get("to") for event in device.ledger.history() if event["result"] in ("installed", "updated")}
        assert not told & kept, "what was good here is in quarantine"


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without what would only cost time: the medium is not on trial here."""
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(os, "fsync", lambda _file: None)
    # The candidate's own updater works.
    monkeypatch.setattr(prepare, "subprocess", SimpleNamespace(run=lambda *_, **__: SimpleNamespace(returncode=0)))
    monkeypatch.setattr("time.sleep", lambda _seconds: None)

    def every_point(name: str) -> None:
        monkeypatch.setenv("VISANT_KILL_AT", name)
        os.kill(os.getpid(), 9)

    for module in [one for name, one in sys.modules.items() if name.startswith("visantctl.updates")]:
        if hasattr(module, "kill_point"):
            monkeypatch.setattr(module, "kill_point", every_point)
    for name in ("visantctl.releases.images",):
        monkeypatch.setattr(sys.modules[name], "kill_point", every_point)
    return monkeypatch


@contextlib.contextmanager
def world(patch: pytest.MonkeyPatch, *installed: str) -> Iterator[World]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as root:
        here = World(Path(root), patch)
        for version in installed:
            update(here.device, Offer(version))  # type: ignore[arg-type]
        yield here


@dataclass(frozen=True)
class Event:
    """Something that happens to a device. While it updates, goes back or starts: what happens at which of its steps."""

    what: str
    version: str = ""
    kill_at: str = ""
    prune_at: str = ""
    cut_at: str = ""


after_the_fetch = KILL_POINTS[KILL_POINTS.index("images-present") :]
points = st.one_of(st.just(""), st.sampled_from(KILL_POINTS))
late_points = st.one_of(st.just(""), st.sampled_from(after_the_fetch))
updates = st.builds(Event, st.just("update"), st.sampled_from(EVERY), points, late_points, late_points)
events = st.lists(
    st.one_of(
        updates,
        updates,
        st.builds(Event, st.sampled_from(("start", "rollback")), st.just(""), points, points, points),
        st.builds(Event, st.sampled_from(("prune", "registry", "remove"))),
        st.builds(Event, st.just("delete"), st.sampled_from(EVERY)),
    ),
    max_size=6,
)


def happen(here: World, event: Event) -> None:
    """One event; what it raises is what a technician would read."""
    here.kill_at, here.prune_at, here.cut_at = event.kill_at, event.prune_at, event.cut_at
    device, engine = here.device, here.engine
    if event.what == "update":
        here.tried(lambda: update(device, Offer(event.version), force=True))  # type: ignore[arg-type]
    elif event.what == "start":
        here.tried(lambda: boot(device))
    elif event.what == "rollback":
        here.tried(lambda: back(device))
    elif event.what == "prune":
        engine.prune()
    elif event.what == "registry":
        engine.registry = not engine.registry
    elif event.what == "remove":  # docker system prune after a stop
        engine.runs = {}
    elif event.what == "delete" and event.version != device.ledger.good:
        shutil.rmtree(device.place.release(event.version), ignore_errors=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(installed=st.sampled_from(INSTALLED), history=events)
def test_with_its_registry_any_state_ends_running(
    patch: pytest.MonkeyPatch, installed: tuple[str, ...], history: list[Event]
) -> None:
    with world(patch, *installed) as here:
        for one in history:
            happen(here, one)
        here.engine.registry = True
        if here.device.ledger.good is None and Pending.read(here.device.place.state) is None:
            update(here.device, Offer("1.0.0"), force=True)  # type: ignore[arg-type]
        else:
            with contextlib.suppress(Stuck):
                boot(here.device)
        if here.device.ledger.good is None:  # the first release was cut short, or failed
            update(here.device, Offer("1.0.0"), force=True)  # type: ignore[arg-type]
        here.assert_runs()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(installed=st.sampled_from(INSTALLED), history=events, version=st.sampled_from(GOOD))
def test_with_a_file_any_state_ends_running_what_is_in_it(
    patch: pytest.MonkeyPatch, installed: tuple[str, ...], history: list[Event], version: str
) -> None:
    with world(patch, *installed) as here:
        for one in history:
            happen(here, one)
        here.engine.registry = False
        update(here.device, Offer(version, has_registry=False), force=True)  # type: ignore[arg-type]
        here.assert_runs(version)


def interrupted(here: World, version: str, step: str) -> None:
    """An update that ends at a step, its unused images with it, and the registry as well."""
    happen(here, Event("update", version, kill_at=step, prune_at=step, cut_at=step))


@pytest.mark.parametrize("version", [GOOD[2], UNHEALTHY])
@pytest.mark.parametrize("step", KILL_POINTS)
def test_killed_and_pruned_at_a_step_it_runs_again_with_the_registry(
    patch: pytest.MonkeyPatch, version: str, step: str
) -> None:
    with world(patch, *GOOD[:2]) as here:
        interrupted(here, version, step)
        for _ in range(3):
            here.tried(lambda: boot(here.device))  # whatever this gives without a registry
            assert here.engine.version is not None, "some release runs also without the registry"
        here.engine.registry = True
        boot(here.device)
        here.assert_runs()
        assert here.device.ledger.quarantine.keys() <= {UNHEALTHY}


@pytest.mark.parametrize("version", [GOOD[2], UNHEALTHY])
@pytest.mark.parametrize("step", KILL_POINTS)
def test_killed_and_pruned_at_a_step_it_runs_again_with_a_file(
    patch: pytest.MonkeyPatch, version: str, step: str
) -> None:
    for wanted, started in ((GOOD[0], False), (GOOD[1], True)):
        with world(patch, *GOOD[:2]) as here:
            interrupted(here, version, step)
            if started:
                here.tried(lambda: boot(here.device))
            update(here.device, Offer(wanted, has_registry=False), force=True)  # type: ignore[arg-type]
            here.assert_runs(wanted)


def test_a_release_that_must_go_is_held_until_the_one_before_can_be_had(patch: pytest.MonkeyPatch) -> None:
    with world(patch, GOOD[0]) as here:
        happen(here, Event("update", UNHEALTHY, prune_at="rollback-written", cut_at="current-linked"))
        here.engine.prune()
        interrupted(here, UNHEALTHY, "started")
        for _ in range(3):
            assert boot(here.device) == UNHEALTHY
            assert here.engine.version == UNHEALTHY
            pending = Pending.read(here.device.place.state)
            assert pending is not None
            assert pending.phase == "rolling_back"
            assert here.device.ledger.good == GOOD[0]
        here.engine.registry = True
        assert boot(here.device) == GOOD[0]
        here.assert_runs(GOOD[0])


def test_a_file_brings_back_what_was_installed_from_it(patch: pytest.MonkeyPatch) -> None:
    with world(patch) as here:
        here.engine.registry = False
        device, offer = here.device, Offer(GOOD[0], has_registry=False)
        assert "runs and is kept" in update(device, offer)  # type: ignore[arg-type]
        assert "is up to date" in update(device, offer)  # type: ignore[arg-type]
        here.engine.runs = {}
        here.engine.prune()
        with pytest.raises(Stuck, match=r"1\.0\.0 cannot run: .*update --from FILE"):
            boot(device)
        assert update(device, offer) == "1.0.0 runs again"  # type: ignore[arg-type]
        here.assert_runs(GOOD[0])


def test_an_operator_does_not_go_back_to_what_cannot_be_had(patch: pytest.MonkeyPatch) -> None:
    with world(patch, *GOOD[:2]) as here:
        here.engine.prune()
        here.engine.registry = False
        with pytest.raises(Unreachable, match=r"images of 1\.0\.0 are gone .*nothing was changed"):
            back(here.device)
        here.assert_runs(GOOD[1])
        assert here.device.ledger.quarantine == {}
        here.engine.registry = True
        back(here.device)
        here.assert_runs(GOOD[0])


def test_what_was_good_here_once_is_never_quarantined(patch: pytest.MonkeyPatch) -> None:
    with world(patch, *GOOD[:2]) as here:
        here.engine.fails = GOOD[0]
        with pytest.raises(Problem, match="was taken back"):
            back(here.device)
        with pytest.raises(Problem, match="was taken back"):
            update(here.device, Offer(GOOD[0]), force=True)  # type: ignore[arg-type]
        here.assert_runs(GOOD[1])
        assert here.device.ledger.quarantine == {}


def test_where_nothing_can_run_the_channel_is_asked(patch: pytest.MonkeyPatch) -> None:
    with world(patch, GOOD[1]) as here:
        (here.device.place.release(GOOD[1]) / "compose.yaml").unlink()
        (here.device.place.release(GOOD[1]) / "release.json").write_bytes(bytes(400))
        here.engine.runs = {}
        here.engine.prune()
        with pytest.raises(Stuck):
            boot(here.device)
        patch.setattr("visantctl.updates.boot.Channel", lambda *_: Offer(GOOD[0]))
        asks = replace(here.device, settings=replace(here.device.settings, update_url="https://r.example"))
        assert boot(asks) == GOOD[0], "an older one is better than none"
        here.assert_runs(GOOD[0])


def test_a_start_or_an_update_waits_for_the_other(patch: pytest.MonkeyPatch) -> None:
    with world(patch, GOOD[0]) as here:
        lines: list[str] = []
        state = here.device.place.state
        with update_lock(state, "update"), pytest.raises(Busy), update_lock(state, "update", 60, behind="start"):
            pass
        with (
            update_lock(state, "start"),
            pytest.raises(Busy),
            update_lock(state, "update", 0.2, behind="start", tell=lines.append),
        ):
            pass
        assert len(lines) == 1
        assert "start" in lines[0]
