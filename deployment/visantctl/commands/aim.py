"""`visantctl aim`: the camera's aiming page on a phone: live picture, sharpness, settings."""

from __future__ import annotations

import argparse
import getpass
import http.client
import os
import select
import signal
import socket
import sys
import threading
import time

from visantctl.aim import addresses
from visantctl.aim.door import Door
from visantctl.aim.gate import TRIES_IN_ALL, Gate, new_pin
from visantctl.errors import Misconfigured, Problem
from visantctl.host import qr
from visantctl.host.env_file import read_env_file
from visantctl.host.place import Place
from visantctl.releases.camera_port import DEFAULT, wanted
from visantctl.releases.stack import containers
from visantctl.wiring import Device

HELP = "the camera's aiming page on a phone: live picture, sharpness, settings"
_LOOK_EVERY = 0.5


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument(
        "--listen", nargs="?", const="all", metavar="WHERE",
        help="open it behind a PIN: all (default), lan, hotspot, tailscale, an interface or an address",
    )  # fmt: skip
    parser.add_argument(
        "--minutes", type=float, default=15, metavar="N", help="then it closes itself (default 15, at most 60)"
    )
    parser.add_argument("--port", type=int, default=8081, metavar="N", help="default 8081")


def main(options: argparse.Namespace) -> int:
    """0 when it closed as it should, 1 when somebody was guessing the PIN."""
    if not 0 < options.minutes <= 60:
        raise Misconfigured(f"--minutes {options.minutes:g} must be above 0 and at most 60")
    if not 1 <= options.port <= 65535:
        raise Misconfigured(f"--port {options.port} must be from 1 to 65535")
    camera_port = _camera_port(Place.from_environment())
    if options.listen is None:
        me = f"{os.environ.get('SUDO_USER') or getpass.getuser()}@{socket.gethostname()}"
        print(f"On this device: http://127.0.0.1:{camera_port}/")
        print(f"From a laptop:  ssh -L 8080:127.0.0.1:{camera_port} {me}, then http://127.0.0.1:8080/")
        print("On a phone:     sudo visantctl aim --listen (opens it for 15 minutes, behind a PIN)")
        return 0
    _camera_answers(camera_port)
    stop = threading.Event()
    guessed = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: stop.set())
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # a stopped process would listen and never close itself
    pin = new_pin()

    def somebody_guesses() -> None:
        guessed.set()
        stop.set()

    gate = Gate(pin, somebody_guesses)
    chosen = addresses.choose(addresses.of_this_host(), options.listen)
    doors: list[Door] = []
    try:
        for one in chosen:
            doors.append(Door(one.address, options.port, camera_port, gate, _say))
        _introduce(chosen, options.port, pin, options.minutes)
        why = _wait(stop, options.minutes * 60)
    finally:
        for door in doors:
            door.close()
    if guessed.is_set():
        raise Problem(f"closed: {TRIES_IN_ALL} wrong PINs, somebody was guessing. Who? See above; then start it again")
    _say(f"closed: {why}")
    return 0


def _wait(stop: threading.Event, seconds: float) -> str:
    """Why it ends."""
    deadline = time.monotonic() + seconds
    terminal = select.poll()
    terminal.register(1, 0)  # standard output; tells only that nobody reads it any more
    while not stop.wait(_LOOK_EVERY):
        if time.monotonic() >= deadline:
            return f"the {seconds / 60:g} minutes are over"
        if terminal.poll(0):
            return "the terminal is gone"
    return "as asked"


def _introduce(chosen: list[addresses.Reachable], port: int, pin: str, minutes: float) -> None:
    _say(f"Open for {minutes:g} minutes; Ctrl-C closes it.")
    for one in chosen:
        _say(f"  {one.kind:<10} http://{one.address}:{port}/")
    code = qr.terminal(f"http://{chosen[0].address}:{port}/?pin={pin}")
    if code:
        _say(f"\n{code}")
        _say(f"The code opens {chosen[0].address} with the PIN.")
    _say(f"PIN {pin[:3]} {pin[3:]}")
    if any(one.kind != "tailscale" for one in chosen):
        _say("Not encrypted but by the network itself (WPA, Tailscale).")


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError:  # nobody reads any more: `_wait` sees it too, and closes
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def _camera_port(place: Place) -> int:
    """Where the camera is shown now; where the Engine cannot be asked (not root), what the settings say."""
    try:
        device = Device.here()
        for one in containers(device.engine, device.settings.project):
            if one.service == "camera" and one.status == "running" and one.ports:
                return one.ports[0][2]
    except Problem:
        pass
    text = read_env_file(place.env_file).get("CAMERA_PORT") or str(DEFAULT)
    port = wanted(place)
    if port is None:
        raise Misconfigured(f"CAMERA_PORT={text!r} must be a port: edit {place.env_file}")
    return port


def _camera_answers(port: int) -> None:
    camera = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        camera.request("GET", "/state")
        if camera.getresponse().status == 200:
            return
        reason = "something else answers there: CAMERA_PORT"
    except (OSError, http.client.HTTPException) as error:
        reason = str(error)
    finally:
        camera.close()
    raise Problem(
        f"the camera service does not answer at 127.0.0.1:{port} ({reason}): sudo systemctl start visant-device-v2"
    )
