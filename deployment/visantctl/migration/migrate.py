"""There and back. Each step may be done twice: a boot goes on with a migration that a power cut ended."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from visantctl.errors import Problem
from visantctl.host import durable, env_file, units
from visantctl.host.env_file import SERVICE_ID, read_env_file
from visantctl.host.lock import update_lock
from visantctl.host.systemd import systemctl
from visantctl.migration import old_tree, old_units, record
from visantctl.migration.record import Record
from visantctl.updates.reconcile import reconcile
from visantctl.updates.switch import switch
from visantctl.wiring import Device

UNIT = "visant-take-over.service"
_LOOK_EVERY = 3.0


def prepare(device: Device) -> Record | None:
    """Note what runs and write its settings into `.env.device`; None where no old service is."""
    place = device.place
    found = old_units.find(place.units)
    if not found:
        return None
    known = record.read(place)
    carried = settings(device)
    if read_env_file(place.env_file).get("DEVICE_TOKEN_FILE"):  # an earlier run has stored a newer one
        carried.pop("DEVICE_TOKEN", None)
    if known is None or known.phase != "taking_over":  # else the copies hold what there was at the beginning
        known = record.keep(place, found, _captures(device, carried))
    env_file.write(place, carried, env_file.EXAMPLE)
    return known


def settings(device: Device) -> dict[str, str]:
    """Of the services found here; those of the newer version win."""
    carried: dict[str, str] = {}
    for name in old_units.SERVICES:
        if old_units.is_old(device.place.units / name):
            text = (device.place.units / name).read_text(errors="replace")
            carried.update(old_units.settings(text, device.place.root / "debug_captures"))
    return carried


def begin(device: Device) -> None:
    """Arm the unit that does it, also after a power cut, and wait for its end; Problem when it went back."""
    place = device.place
    known = record.read(place)
    version = known.version if known is not None and known.phase == "taking_over" else _fetched(device)
    if known is None or not version:
        raise Problem("nothing to take over with: visantctl take-over --prepare, then visantctl update --fetch-only")
    known.advance(place, "taking_over", version=version)
    script = place.release(version) / "deployment/bin/visantctl"
    durable.write_file(place.units / UNIT, _unit(script).encode())
    systemctl("daemon-reload")
    systemctl("enable", "--quiet", UNIT)
    systemctl("start", UNIT, timeout=device.settings.migration_patience + 1800)
    ended = record.read(place)
    if ended is None or ended.phase != "done":
        raise Problem(f"not taken over: {ended.reason if ended and ended.reason else f'journalctl -u {UNIT}'}")


def _fetched(device: Device) -> str | None:
    """The release that `update --fetch-only` brought, else the one that was kept before a way back."""
    value = durable.read_json(device.place.state / "fetched.json")
    version = value.get("version") if isinstance(value, dict) else None
    return version if version and device.place.release(version).is_dir() else device.ledger.good


def go_on(device: Device) -> bool:
    """Stop the old service, switch, wait for the stream. False when the old service runs again."""
    place = device.place
    known = record.read(place)
    if known is None or known.phase != "taking_over":
        systemctl("disable", "--quiet", UNIT)
        return known is not None and known.phase == "done"
    device.log.info(f"{known.version} takes over from {', '.join(one.name for one in known.units)}")
    began = time.monotonic()
    try:
        device.engine.wait(device.settings.engine_patience)
        _stop_old(device, known)
        _run_new(device, known.version)
        _wait_for_stream(device)
    except (Problem, OSError) as why:
        device.log.error(f"not taken over: {why}")
        go_back(device, str(why))
        return False
    old_tree.put_aside(place)
    env_file.comment_out(place, old_units.DROPPED, "of the git-based version, without a meaning here")
    known.advance(place, "done")
    device.ledger.write("taken_over", to=known.version)
    device.log.info(
        f"{known.version} has its stream, {time.monotonic() - began:.0f} s after the old service was stopped"
    )
    _disarm(device)
    return True


def go_back(device: Device, reason: str) -> None:
    """The old service as it was: files, settings, enabled and running or not. What the new one has kept stays."""
    place = device.place
    known = record.read(place)
    kept = record.copies(place)
    if known is None or not kept.is_dir():
        raise Problem("there is nothing to go back to: no take-over is recorded here")
    for name in units.NAMES:
        if not old_units.is_old(place.units / name) and (place.units / name).exists():
            systemctl("disable", "--quiet", "--now", name)
            (place.units / name).unlink()
    shutil.rmtree(place.units / f"{units.ASKED}.d", ignore_errors=True)  # where the spool is elsewhere
    try:
        device.stack(known.version).down()  # its volumes, with what waits in them, stay
    except Problem as error:
        device.log.error(f"the new services were not all stopped: {error}")
    old_tree.put_back(place)
    for one in known.units:
        durable.write_file(place.units / one.name, (kept / one.name).read_bytes())
        if (kept / f"{one.name}.d").is_dir():
            shutil.copytree(kept / f"{one.name}.d", place.units / f"{one.name}.d", dirs_exist_ok=True)
    _settings_back(device, kept)
    systemctl("daemon-reload")
    for one in known.units:
        if one.enabled:
            systemctl("enable", "--quiet", one.name)
        if one.active:
            systemctl("start", "--no-block", one.name)
    known.advance(place, "back", reason=reason)
    device.ledger.write("went_back_to_old", **{"from": known.version, "reason": reason})
    device.log.warning(f"{', '.join(one.name for one in known.units)}: as before")
    _disarm(device)


def _stop_old(device: Device, known: Record) -> None:
    # A timer before the service that says whose it is.
    for one in sorted(known.units, key=lambda unit: not unit.name.endswith(".timer")):
        if not old_units.is_old(device.place.units / one.name):
            continue
        systemctl("disable", "--quiet", "--now", one.name)
        (device.place.units / one.name).unlink()
        shutil.rmtree(device.place.units / f"{one.name}.d", ignore_errors=True)
    systemctl("daemon-reload")
    device.log.info("the old service is stopped")


def _run_new(device: Device, version: str) -> None:
    with update_lock(device.place.state, "take-over", device.settings.start_timeout) as lock:
        held = device.holding(lock)
        reconcile(held, start=False)
        if device.ledger.good != version:
            switch(held, version)
    _own(_captures(device, read_env_file(device.place.env_file)), [SERVICE_ID, SERVICE_ID, 0o750])
    units.install(device.place, version)
    systemctl("enable", "--quiet", *units.STARTED)
    systemctl("start", *units.STARTED)


def _wait_for_stream(device: Device) -> None:
    patience = device.settings.migration_patience
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            if device.look().stream:
                return
        except Problem as error:
            device.log.warning(str(error))
        time.sleep(_LOOK_EVERY)
    raise Problem(f"no stream within {patience:g} s (MIGRATION_PATIENCE): visantctl logs connector said why")


def _settings_back(device: Device, kept: Path) -> None:
    place = device.place
    owners = durable.read_json(kept / "owners.json") or {}
    if (kept / "env.device").is_file():
        durable.write_file(place.env_file, (kept / "env.device").read_bytes(), mode=0o600)
        _own(place.env_file, owners.get("env"))
    else:
        place.env_file.unlink(missing_ok=True)
    if captures := owners.get("captures"):
        _own(Path(captures[0]), captures[1])


def _own(path: Path, owner: object) -> None:
    if isinstance(owner, list) and len(owner) == 3 and path.exists():
        os.chown(path, owner[0], owner[1])
        path.chmod(owner[2])


def _captures(device: Device, values: Mapping[str, str]) -> Path:
    """Where saved frames go: the old service writes there as its user, the new one as its own."""
    return Path(values.get("VISANT_DEBUG_CAPTURES") or device.place.root / "debug_captures")


def _disarm(device: Device) -> None:
    systemctl("disable", "--quiet", UNIT)
    (device.place.units / UNIT).unlink(missing_ok=True)
    systemctl("daemon-reload")


def _unit(script: Path) -> str:
    return f"""\
[Unit]
Description=Visant Edge takes over from the git-based version
After=docker.service network.target
Wants=docker.service

[Service]
Type=oneshot
# As at a first installation: there is no release to compare with, and the stream is waited for anyway.
Environment=UPDATE_SOAK=5
ExecStart={sys.executable} -B {script} take-over --go-on
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
"""
