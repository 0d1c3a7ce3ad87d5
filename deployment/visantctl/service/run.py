"""`visantctl run`: what visant-device-v2.service is. In the foreground for as long as the services run."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from visantctl.errors import Busy, EngineAway, EngineFailed, Problem
from visantctl.host import lock, units
from visantctl.host.log import now
from visantctl.host.programs import ask
from visantctl.host.systemd import systemctl
from visantctl.network import engine_uplink
from visantctl.releases.stack import ALIVE, states
from visantctl.service.host_facts import HostFacts
from visantctl.service.requests import listen
from visantctl.updates.boot import boot
from visantctl.updates.pending import Pending
from visantctl.updates.reconcile import Stuck
from visantctl.wiring import Device

_LOOK_EVERY = 5.0
_ASK_EVERY = 12
"""Looks after which the Engine is asked: a `docker ps` costs more than all looks between two of them."""
_GONE_LOOKS = 3
"""Looks without any running container before the stack counts as gone."""
_DOWN = ("exited", "created", "dead", "unhealthy")
"""States in which the Engine leaves a container, such as after a crash while somebody else had its port. `unhealthy`:
no restart policy of the Engine looks at that, and a process that hangs in the kernel cannot end itself."""
_PAUSE, _LONGEST_PAUSE = 5.0, 300.0
"""Seconds between tries to get what a start lacks: doubled from the first to the second."""
_ENDING = (signal.SIGTERM, signal.SIGINT)
_SUCCESSOR = "VISANT_RUN_SUCCESSOR"
"""Set when a new release's visantctl takes over within the same process, to a time: releases that followed the
services' logs, and may be gone back to, read since when they have to show them."""


def run(device: Device) -> int:
    """Repair, start, look after the services, look for a release once; until a signal or until the stack is gone."""
    stopping = threading.Event()
    for number in _ENDING:
        signal.signal(number, lambda _number, _frame: stopping.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)  # see _hand_over
    device.place.prepare()
    try:
        engine_uplink.apply(device.place, device.log)
    except (Problem, OSError, subprocess.SubprocessError) as error:  # what is here must start all the same
        device.log.warning(f"the Docker Engine could not be given the proxy and CA file of .env.device: {error}")
    facts = HostFacts(device)
    facts.keep(starting=True)  # a service that starts finds them there
    took_over = os.environ.pop(_SUCCESSOR, "")
    version = _start(device, stopping)
    if version is None:
        return 0
    units.refresh(device.place, version, device.log)  # what the updater that brought this release did not know of
    listen(device)
    tell_systemd(f"READY=1\nSTATUS=release {version}")
    check_at = None if took_over else time.monotonic() + random.uniform(0, device.settings.window)
    gone = looks = 0
    down: set[tuple[str, str]] = set()
    before: set[tuple[str, str]] = set()
    repair_at, pause = 0.0, _PAUSE
    while not stopping.wait(_LOOK_EVERY):
        looks += 1
        facts.keep()
        busy = lock.is_held(device.place.state)
        if gone or looks % _ASK_EVERY == 0:
            found = _states(device)
            gone = 0 if busy or any(state in ALIVE for state in found.values()) else gone + 1
        if looks % _ASK_EVERY == 0:
            down, before = {(name, state) for name, state in found.items() if state in _DOWN}, down
        if gone >= _GONE_LOOKS:
            raise Problem("the services were stopped by somebody else: ending, systemd starts them again")
        if busy:
            continue
        if Pending.read(device.place.state) is None:
            repair_at, pause = 0.0, _PAUSE
        elif time.monotonic() >= repair_at:
            device.log.warning("an update has not come to its end: repairing")
            _start(device, stopping)
            repair_at, pause = time.monotonic() + pause, min(2 * pause, _LONGEST_PAUSE)
        if Pending.read(device.place.state) is not None:
            continue  # what it goes back to cannot be had yet
        if (now_good := device.ledger.good) and now_good != version:
            _hand_over(device, now_good, stopping)
            break
        if not gone and (stayed := down & before):
            down = set()
            _start_again(device, stayed, stopping)
        if check_at is not None and time.monotonic() >= check_at:
            check_at = None
            start_check(device)
    device.log.info("stopping the services")
    device.stack(device.ledger.good or version).stop()
    return 0


def _start(device: Device, stopping: threading.Event) -> str | None:
    """The version that was started; None when a signal came first. An absent Engine is waited for."""
    while not stopping.is_set():
        try:
            return boot(device, patience=device.settings.start_timeout)
        except (EngineAway, Busy) as later:
            device.log.warning(f"{later}; trying again")
            stopping.wait(5)
        except Stuck:
            _wait_for_news(device, stopping, min(_PAUSE * 2 ** _restarts(), _LONGEST_PAUSE))
            raise
    return None


def _start_again(device: Device, stayed: set[tuple[str, str]], stopping: threading.Event) -> None:
    """Services that were found in their state twice; a problem of theirs is no problem of the others."""
    hung = sorted(name for name, state in stayed if state == "unhealthy")
    gone = sorted(name for name, state in stayed if state != "unhealthy")
    try:
        for name in hung:
            device.log.warning(f"{name} stays unhealthy: restarting it")
            device.stack(device.ledger.good or "").restart(name)
        if gone:
            device.log.warning(f"{', '.join(gone)} does not run: starting it again")
            _start(device, stopping)
    except Problem as problem:
        device.log.error(str(problem))


def _restarts() -> int:
    """How often systemd has started this unit again by itself: 0 after a person did."""
    if not os.environ.get("INVOCATION_ID"):
        return 0
    said = ask("systemctl", "show", "--property", "NRestarts", "--value", units.DEVICE, timeout=60) or ""
    return min(int(said), 30) if said.isdigit() else 0


def _wait_for_news(device: Device, stopping: threading.Event, seconds: float) -> None:
    """Until somebody has brought a release; systemd starts this again and nothing holds the lock meanwhile.

    Not at the first time, when a person may be waiting for `systemctl start`.
    """
    if seconds <= _PAUSE:
        return
    before, deadline = device.ledger.good_since, time.monotonic() + seconds
    while not stopping.wait(1) and time.monotonic() < deadline and device.ledger.good_since == before:
        pass


def _states(device: Device) -> dict[str, str]:
    try:
        return states(device.engine, device.settings.project)
    except (EngineAway, EngineFailed):
        return {}


def _hand_over(device: Device, version: str, stopping: threading.Event) -> None:
    """Become the visantctl of the release that is kept now; same process, so systemd sees no restart.

    Returns where it was told to end meanwhile. From here until the successor listens, a signal waits in the kernel:
    it would end the process and leave the services running.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    if stopping.is_set():
        return
    script = device.place.current / "deployment/bin/visantctl"
    device.log.info(f"visantctl of {version} takes over")
    os.environ[_SUCCESSOR] = now()
    os.execv(sys.executable, [sys.executable, str(script), "run"])


def start_check(device: Device) -> None:
    """Look for a release in a unit of its own, so that an update outlives whatever happens to this one."""
    if not os.environ.get("INVOCATION_ID") or not shutil.which("systemctl"):
        script = device.place.current / "deployment/bin/visantctl"
        subprocess.Popen([sys.executable, str(script), "update"], stdin=subprocess.DEVNULL, start_new_session=True)
    else:
        systemctl("start", "--no-block", units.UPDATE)


def tell_systemd(state: str) -> None:
    """sd_notify(3), where systemd listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bus:
        try:
            bus.sendto(state.encode(), address)
        except OSError:
            return
