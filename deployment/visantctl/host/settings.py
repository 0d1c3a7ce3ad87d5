"""visantctl's own settings: from `.env.device`, overridden by the environment (systemd drop-ins)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from visantctl.errors import Misconfigured
from visantctl.host.env_file import PROXY_KEYS, UPLINK_KEYS, checked_proxy, read_env_file
from visantctl.version import is_version


@dataclass(frozen=True)
class Settings:
    """All durations in seconds, all sizes in bytes."""

    device_id: str = ""
    update_url: str = ""
    """Address of the folder that holds `<channel>/` and `<version>/`; http, https or file. Empty: no updates."""
    channel: str = "stable"
    pin: str = ""
    """A version to stay on, whatever the channel says; empty: follow the channel."""
    pinned_by_cloud: bool = False
    """And not by UPDATE_PIN: then it leads to no older release than the one that runs."""
    held: bool = False
    """The cloud wants no release to be taken, until it says otherwise."""
    soak: float = 60.0
    """How long a new release is watched before it is kept."""
    settle: float = 45.0
    """What stream and camera get at least to be there again: a stream may need 30 s, a camera 5."""
    window: float = 900.0
    """The check after a start comes at a random moment within this."""
    idle_wait: float = 600.0
    """How long an update waits for a capture in flight."""
    start_timeout: float = 180.0
    """How long containers may take to become healthy."""
    engine_patience: float = 120.0
    """How long an Engine that went away in the middle is waited for."""
    min_free_bytes: int = 700_000_000
    """Free bytes that must remain after a release is unpacked: above the uploader's SPOOL_MIN_FREE_BYTES (512 MiB),
    below which it keeps no picture."""
    migration_patience: float = 600.0
    """How long a migration from the git-based version waits for the stream before the old service comes back."""
    project: str = "visant"
    """Compose project name."""
    proxies: Mapping[str, str] | None = None

    @classmethod
    def load(cls, env_file: Path, environment: Mapping[str, str] | None = None) -> Settings:
        """Read and check; Misconfigured names the key, the value and the remedy."""
        values = {**read_env_file(env_file), **(os.environ if environment is None else environment)}

        def number(key: str, default: float, low: float, high: float) -> float:
            text = values.get(key, "")
            if not text:
                return default
            try:
                value = float(text)
            except ValueError:
                value = float("nan")
            if not low <= value <= high:
                raise Misconfigured(f"{key}={text!r} must be a number from {low:g} to {high:g}: edit {env_file}")
            return value

        channel = values.get("UPDATE_CHANNEL") or cls.channel
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", channel):
            raise Misconfigured(f"UPDATE_CHANNEL={channel!r} must be a word such as stable or beta: edit {env_file}")
        pin = values.get("UPDATE_PIN", "")
        if pin and not is_version(pin):
            raise Misconfigured(f"UPDATE_PIN={pin!r} must be a version such as 1.2.0, or empty: edit {env_file}")
        url = values.get("UPDATE_URL", "").rstrip("/")
        if url and not re.fullmatch(r"(https?|file)://[ -~]+", url):
            raise Misconfigured(
                f"UPDATE_URL={url!r} must start with https://, http:// or file://, and be ASCII: edit {env_file}"
            )
        project = values.get("VISANT_PROJECT") or cls.project
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,60}", project):
            raise Misconfigured(f"VISANT_PROJECT={project!r} must be lower-case letters, digits, - and _")
        # The services' HTTP library takes the small form too, and before the other: `https_proxy=` in .env.device.
        small = {key: values[key.lower()] for key in UPLINK_KEYS if key.endswith("_PROXY") and key.lower() in values}
        proxies = {key: one for key in UPLINK_KEYS if (one := (values | small).get(key))}
        for key in PROXY_KEYS:
            if key in proxies:
                checked_proxy(key, proxies[key])
        if certificates := proxies.get("SSL_CERT_FILE"):
            # Written for the containers, which see the folder `secrets` as /run/secrets.
            inside = Path(certificates)
            if inside.is_relative_to("/run/secrets"):
                inside = env_file.parent / "secrets" / inside.relative_to("/run/secrets")
            if not inside.is_file():
                raise Misconfigured(f"SSL_CERT_FILE={certificates!r}: {inside} is not there; edit {env_file}")
            proxies["SSL_CERT_FILE"] = str(inside)
        return cls(
            device_id=values.get("DEVICE_ID", ""),
            update_url=url,
            channel=channel,
            pin=pin,
            soak=number("UPDATE_SOAK", cls.soak, 1, 3600),
            settle=number("UPDATE_SETTLE", cls.settle, 1, 600),
            window=number("UPDATE_WINDOW", cls.window, 0, 86400),
            idle_wait=number("UPDATE_IDLE_WAIT", cls.idle_wait, 0, 3600),
            start_timeout=number("UPDATE_START_TIMEOUT", cls.start_timeout, 5, 1800),
            engine_patience=number("UPDATE_ENGINE_PATIENCE", cls.engine_patience, 1, 3600),
            min_free_bytes=int(number("UPDATE_MIN_FREE_BYTES", cls.min_free_bytes, 0, 1e15)),
            migration_patience=number("MIGRATION_PATIENCE", cls.migration_patience, 1, 86400),
            project=project,
            proxies=proxies,
        )
