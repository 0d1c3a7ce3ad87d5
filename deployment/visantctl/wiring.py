"""What every command works with, wired once: this device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from visantctl.errors import EngineAway, EngineFailed, Refused
from visantctl.host.engine import Engine
from visantctl.host.log import Log
from visantctl.host.place import Place
from visantctl.host.settings import Settings
from visantctl.releases import manifest
from visantctl.releases.manifest import Release
from visantctl.releases.stack import Stack, containers
from visantctl.updates.asked import Wish
from visantctl.updates.ledger import Ledger
from visantctl.updates.probe import Observation, observe

_T = TypeVar("_T")
HOST_FILES = ("compose.yaml", "deployment/bin/visantctl")
"""What of a release no start can do without."""


@dataclass(frozen=True)
class Device:
    """This host as commands see it: its paths, settings, Engine, what it remembers of its updates, and its log."""

    place: Place
    settings: Settings
    engine: Engine
    ledger: Ledger
    log: Log

    @classmethod
    def here(cls) -> Device:
        """The device of this host; Misconfigured when its settings are wrong."""
        place = Place.from_environment()
        settings = Wish.read(place).applied(Settings.load(place.env_file))
        return cls(place, settings, Engine(place.registry_login), Ledger(place), Log(place.log))

    def holding(self, lock: int) -> Device:
        """The same, its docker commands keep the update lock."""
        return replace(self, engine=self.engine.holding(lock))

    def stack(self, version: str) -> Stack:
        """The services as that release describes them."""
        return Stack(self.engine, self.place, self.settings.project, version)

    def release(self, version: str) -> Release:
        """A release that is on this host."""
        return manifest.read(self.place.release(version) / "release.json")

    def damage(self, version: str) -> str | None:
        """Why the files of a release cannot be used; None where they are whole."""
        folder = self.place.release(version)
        try:
            self.release(version)
        except Refused as damaged:
            return str(damaged)
        absent = [name for name in HOST_FILES if not (folder / name).is_file()]
        return f"{folder / absent[0]} is missing: this release is not complete here" if absent else None

    def whole_release(self, version: str) -> Release | None:
        """The release; None where it is missing here, or the card damaged it."""
        return None if self.damage(version) else self.release(version)

    def image_tags(self, version: str) -> dict[str, str]:
        """Service to the local tag that the release's Compose file runs; empty where nothing says it."""
        try:
            return self.release(version).tags
        except Refused:  # Compose needs no manifest: it may run all the same
            try:
                return {one.split(":")[0].rpartition("/")[2]: one for one in self.stack(version).images()}
            except EngineFailed:
                return {}

    def look(self) -> Observation:
        """What the running stack can do now."""
        return observe(self.engine, self.settings.project)

    def running(self, service: str) -> str | None:
        """Id of the service's container; None where it does not run."""
        found = [one for one in containers(self.engine, self.settings.project) if one.service == service]
        return found[0].id if len(found) == 1 and found[0].status == "running" else None

    def with_engine(self, work: Callable[[], _T]) -> _T:
        """Do `work`; when the Engine goes away in the middle, wait for it and do it once more."""
        try:
            return work()
        except EngineAway as away:
            self.log.warning(f"{away}; waiting up to {self.settings.engine_patience:g} s for it")
            self.engine.wait(self.settings.engine_patience)
            return work()
