"""Where everything of a device lies on the host."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Paths under one root, `/opt/visant` unless VISANT_ROOT names another (tests do)."""

    root: Path
    log: Path
    units: Path

    @classmethod
    def from_environment(cls) -> Place:
        """Read VISANT_ROOT, VISANT_UPDATE_LOG and VISANT_UNIT_DIR."""
        return cls(
            root=Path(os.environ.get("VISANT_ROOT") or "/opt/visant"),
            log=Path(os.environ.get("VISANT_UPDATE_LOG") or "/var/log/visant-update.log"),
            units=Path(os.environ.get("VISANT_UNIT_DIR") or "/etc/systemd/system"),
        )

    def outside(self, path: str) -> Path:
        """A file of the host outside the root: `etc/...`. Below VISANT_HOST_ROOT where that is set (tests)."""
        return Path(os.environ.get("VISANT_HOST_ROOT") or "/") / path

    @property
    def env_file(self) -> Path:
        """The device's settings, written at installation and by hand."""
        return self.root / ".env.device"

    @property
    def allowed_signers(self) -> Path:
        """Public keys whose releases this device accepts, in the format of ssh-keygen(1)."""
        return self.root / "allowed_signers"

    @property
    def compose_override(self) -> Path:
        """A Compose file of this site, added to each release's own; survives releases."""
        return self.root / "compose.override.yaml"

    @property
    def registry_login(self) -> Path:
        """Docker's configuration directory with the registry credentials (`visantctl login`)."""
        return self.root / "registry"

    @property
    def releases(self) -> Path:
        """One directory a version that is here."""
        return self.root / "releases"

    @property
    def current(self) -> Path:
        """Symlink to the release that should run."""
        return self.root / "current"

    @property
    def installer(self) -> Path:
        """The release's own; run again, it changes only what is missing."""
        return self.current / "deployment/install_device.sh"

    @property
    def previous(self) -> Path:
        """Symlink to the release that ran before the current one."""
        return self.root / "previous"

    @property
    def state(self) -> Path:
        """What the updater must not forget."""
        return self.root / "state"

    @property
    def shared(self) -> Path:
        """What the services may read (mounted read-only): the result of the last update."""
        return self.root / "shared"

    @property
    def host_facts(self) -> Path:
        """What the services may read of the host (mounted read-only); in memory, for it is written all the time."""
        return self.outside("run/visant-host/facts.json")

    def release(self, version: str) -> Path:
        """Directory of one version."""
        return self.releases / version

    def linked_version(self, link: Path) -> str | None:
        """Version that `current` or `previous` points to; None when there is none or it is gone."""
        try:
            target = os.readlink(link)
        except OSError:
            return None
        version = Path(target).name
        return version if (self.releases / version / "release.json").is_file() else None

    def prepare(self) -> None:
        """Make the directories; state is root's alone, the shared directory is readable by the services."""
        for directory, mode in ((self.releases, 0o755), (self.state, 0o700), (self.shared, 0o755)):
            directory.mkdir(mode=mode, parents=True, exist_ok=True)
