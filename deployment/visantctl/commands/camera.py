"""`visantctl camera`: probe: which cameras there are and what they can do; snapshot: one picture into a file."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from visantctl.errors import Problem
from visantctl.wiring import Device

_PATIENCE = 60.0
HELP = "probe: which cameras there are and what they can do; snapshot: one picture into a file"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("action", choices=("probe", "snapshot"))
    parser.add_argument("--out", type=Path, default=Path("snapshot.jpg"), metavar="FILE", help="default: snapshot.jpg")


def main(options: argparse.Namespace) -> int:
    """What the camera service's own command says, in its container."""
    device = Device.here()
    camera = device.running("camera")
    if camera is None:
        raise Problem("the camera service does not run: sudo systemctl start visant-device-v2")
    inside = ["docker", "exec", camera, "visant-camera"]
    words, kept = (["probe"], None) if options.action == "probe" else (["snapshot", "--out", "-"], subprocess.PIPE)
    try:
        done = subprocess.run(
            [*inside, *words], stdin=subprocess.DEVNULL, stdout=kept, check=False, timeout=_PATIENCE,
            env=device.engine.environment(),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Problem(f"no answer within {_PATIENCE:g} s: sudo systemctl restart visant-device-v2") from None
    if kept and done.returncode == 0:
        options.out.write_bytes(done.stdout)
        print(f"{options.out}: {len(done.stdout) / 1000:.0f} kB")
    return done.returncode
