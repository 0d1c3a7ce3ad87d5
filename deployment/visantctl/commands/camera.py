"""visantctl camera."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from visantctl.device import Device
from visantctl.errors import Problem
from visantctl.stack import containers

HELP = "probe: which cameras there are and what they can do; snapshot: one picture into a file"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("action", choices=("probe", "snapshot"))
    parser.add_argument("--out", type=Path, default=Path("snapshot.jpg"), metavar="FILE", help="default: snapshot.jpg")


def main(options: argparse.Namespace) -> int:
    """What the camera service's own command says, in its container."""
    device = Device.here()
    found = [one for one in containers(device.engine, device.settings.project) if one.service == "camera"]
    if len(found) != 1 or found[0].status != "running":
        raise Problem("the camera service does not run: sudo systemctl start visant-device-v2")
    inside = ["docker", "exec", found[0].id, "visant-camera"]
    if options.action == "probe":
        return subprocess.run([*inside, "probe"], stdin=subprocess.DEVNULL, check=False, timeout=60).returncode
    done = subprocess.run(
        [*inside, "snapshot", "--out", "-"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False, timeout=60
    )
    if done.returncode == 0:
        options.out.write_bytes(done.stdout)
        print(f"{options.out}: {len(done.stdout) / 1000:.0f} kB")
    return done.returncode
