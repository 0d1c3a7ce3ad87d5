"""A copied card becomes one device: `visant.env` is read, checked as a whole, applied, and taken off the card.

Each step may be done twice, so a power cut at any point is met by doing all of them again.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from pathlib import Path

from visantctl.errors import Misconfigured, Problem, Unreachable
from visantctl.fleet import boot_partition, card, clone, enrolment, identity
from visantctl.fleet.card import Card
from visantctl.host import durable, env_file
from visantctl.host.env_file import known_keys, read_env_file
from visantctl.host.settings import Settings
from visantctl.host.systemd import systemctl
from visantctl.network import address_pools, hotspot, hotspot_service, remote_access
from visantctl.network.host_name import host_name
from visantctl.wiring import Device

_LOOK_EVERY = 5.0
"""Seconds between two looks at the boot partition."""
_AGAIN, _AGAIN_REFUSED = 20.0, 60.0
"""Seconds until the same file is tried again: where the network was missing, and where somebody has to act."""


class FirstBoot:
    """One card on its way to being a device."""

    def __init__(self, device: Device, root: Path) -> None:
        self._device = device
        self._root = root
        self._joined: tuple[str, str] | None = None
        """The WiFi that was set up in this run: a second time would take the connection down for a moment."""

    def wait_and_apply(self, stopping: threading.Event) -> None:
        """Until this card is somebody. What is missing is said once, and again when it changes."""
        said = ""
        while not stopping.is_set():
            seen, again = self._seen(), _AGAIN_REFUSED
            try:
                self.apply()
                return
            except Unreachable as problem:
                line, again = str(problem), _AGAIN
            except Problem as problem:
                line = str(problem)
            except OSError as error:
                line = f"{error.filename or 'this host'}: {error.strerror or error}"
            if line != said:
                self._device.log.error(f"this card is no device yet: {line}")
                said = line
            deadline = time.monotonic() + again
            while time.monotonic() < deadline and self._seen() == seen and not stopping.wait(_LOOK_EVERY):
                pass

    def apply(self) -> None:
        """Once. Problem says what is missing; a second time completes whatever this one left."""
        device, root = self._device, self._root
        state = durable.read_json(clone.marker(device))
        if not isinstance(state, dict) or not state.get("complete"):
            raise Problem("prepare-clone was cut short on the original: run it again there, then copy its card again")
        found = boot_partition.find(root)
        one = card.parse(boot_partition.read(found), _known(device), str(found))
        if not ((one.settings or {}).get("API_URL") or read_env_file(device.place.env_file).get("API_URL")):
            raise Misconfigured(f"{found} and the image name no API_URL: add API_URL=https://your-cloud.example")
        name = host_name(one.device_id)
        identity.rename(root, name)
        if root == Path("/"):
            with contextlib.suppress(OSError):  # good at the next boot in any case
                socket.sethostname(name)
        self._wifi(one)
        self._hotspot(one, is_open=bool(state.get("open")))
        _settings(device, one)
        _address_pools(root / "etc/docker/daemon.json")
        for unit in state.get("on", ()):
            _start(device, unit)
        if one.enrol_code and not (device.place.root / "secrets/device_token").is_file():
            _enrol(device, one)
        for unit in ("visant-device-v2.service", "visant-update.timer"):
            _start(device, unit)
        _remote(device, one, name)
        boot_partition.take_away(device.log, found)
        durable.remove_file(clone.marker(device))
        systemctl("--quiet", "disable", clone.FIRST_BOOT)
        device.log.info(f"this card is {one.device_id} now, host name {name}")

    def _seen(self) -> tuple[Path, int, int] | None:
        """Changes when somebody writes the file."""
        try:
            path = boot_partition.find(self._root)
            return path, path.stat().st_mtime_ns, path.stat().st_size
        except (Problem, OSError):
            return None

    def _wifi(self, one: Card) -> None:
        wanted = (one.wifi_ssid, one.wifi_password)
        if not one.wifi_ssid or wanted == self._joined:
            return
        script = self._device.place.current / "deployment/addwifi.sh"
        done = subprocess.run(
            ["bash", str(script), "--", one.wifi_ssid],
            input=f"{one.wifi_password}\n", capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if done.returncode:
            last = (done.stderr.strip() or "addwifi.sh failed").splitlines()[-1]
            raise Problem(f"WIFI_SSID={one.wifi_ssid!r} was not added: {last}")
        self._joined = wanted

    def _hotspot(self, one: Card, *, is_open: bool) -> None:
        conf = self._root / clone.COMITUP
        if not conf.is_file():
            if one.hotspot_ssid:
                self._device.log.warning("Comitup is not in this image: there is no hotspot")
            return
        before, made = hotspot.read(conf), hotspot.invented()
        ssid = one.hotspot_ssid or (before.ssid if before else made.ssid)
        password = one.hotspot_password or (before.password if before else made.password)
        if password == hotspot.OPEN or (is_open and not one.hotspot_password):
            password = ""
        drop_in = self._root / hotspot_service.DROP_IN.relative_to("/")
        if hotspot_service.write(hotspot.Hotspot(ssid, password), conf, drop_in):
            systemctl("--quiet", "try-restart", "comitup.service")


def _known(device: Device) -> set[str]:
    example = device.place.current / ".env.device.example"
    return known_keys(example.read_text(encoding="utf-8")) if example.is_file() else known_keys("")


def _settings(device: Device, one: Card) -> None:
    env_file.write(device.place, {"DEVICE_ID": one.device_id, **(one.settings or {})})
    if one.token:
        env_file.store_token(device.place, one.token)


def _address_pools(file: Path) -> None:
    """The image's addresses were chosen at another site."""
    before = durable.read_json(file)
    before = before if isinstance(before, dict) else {}
    try:
        after = address_pools.daemon_settings(before, address_pools.site_routes())
    except ValueError:
        return  # visantctl doctor says so
    if after != before:
        durable.write_json(file, after)
        systemctl("--quiet", "restart", "docker.service")


def _enrol(device: Device, one: Card) -> None:
    settings = Settings.load(device.place.env_file)
    api_url = read_env_file(device.place.env_file).get("API_URL", "")
    device_id, token = enrolment.exchange(settings, api_url, one.enrol_code, replace=False)
    if device_id != one.device_id:
        raise Problem(f"ENROL_CODE belongs to {device_id}, this card is {one.device_id}: the cards were mixed up")
    env_file.store_token(device.place, token)


def _start(device: Device, unit: str) -> None:
    if unit == "comitup.service" and not hotspot_service.has_radio():
        device.log.warning("this host has no WiFi radio: no hotspot")
        return
    systemctl("--quiet", "enable", unit)
    # Not waited for: the services may need minutes, and the rest must not.
    systemctl("--quiet", "start", "--no-block", unit)


def _remote(device: Device, one: Card, name: str) -> None:
    """Optional: what Tailscale refuses is said, and the device works without."""
    if not one.tailscale_key:
        return
    try:
        remote_access.join(name, one.tailscale_key)
    except Unreachable:
        raise
    except Problem as problem:
        device.log.warning(f"no remote access: {problem}; later: sudo visantctl remote setup --key-file F")
