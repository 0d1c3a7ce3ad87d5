"""`visant-camera probe`: which cameras this machine has and what they can do; also while the service streams."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from visant_camera.drivers.base import Control
from visant_camera.drivers.v4l2.find_device import VideoDevice, lasting_names, plugged_in
from visant_camera.drivers.v4l2.node import Node, SizeRange


@dataclass(frozen=True)
class Size:
    """One size of one format. `fps`: what the camera offers, highest first as drivers list it."""

    width: int
    height: int
    fps: list[float]
    step: tuple[int, int] | None = None
    """Where the camera offers a range and no list: this is its smallest or its largest size, and what lies between
    comes in these steps (width, height)."""


@dataclass(frozen=True)
class Format:
    """One pixel format by its four letters."""

    fourcc: str
    sizes: list[Size]


@dataclass(frozen=True)
class ProbedCamera:
    """A camera and what it offers; `trouble` where it could not be asked.

    `lasting_names`: what to set as CAMERA_SOURCE where there are two; numbers change with the order of plugging in.
    """

    node: str
    name: str
    formats: list[Format]
    controls: list[Control]
    lasting_names: list[str]
    trouble: str = ""


def probe(arguments: Sequence[str]) -> int:
    """0: at least one camera. 1: none."""
    parser = argparse.ArgumentParser(prog="visant-camera probe", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    as_json = parser.parse_args(arguments).json
    cameras = [_ask(device) for device in sorted(plugged_in(), key=lambda one: one.number)]
    if as_json:
        print(json.dumps({"cameras": [asdict(one) for one in cameras]}, indent=1))
    elif cameras:
        print("\n\n".join(_table(one) for one in cameras))
    else:
        print(
            "no camera found: plug one in (a container needs /dev bound read-only and the device rule c 81:* rmw; "
            "a user needs the group video)"
        )
    return 0 if cameras else 1


def _ask(device: VideoDevice) -> ProbedCamera:
    names = lasting_names(device.node)
    try:
        with Node(device.node) as node:
            formats = [Format(fourcc, _sizes(node, fourcc)) for fourcc in node.formats()]
            controls = node.controls()
    except OSError as error:
        return ProbedCamera(device.node, device.name, [], [], names, trouble=error.strerror or str(error))
    return ProbedCamera(device.node, device.name, formats, controls, names)


def _sizes(node: Node, fourcc: str) -> list[Size]:
    sizes = node.sizes(fourcc)
    if not isinstance(sizes, SizeRange):
        return [Size(*size, fps=node.rates(fourcc, size)) for size in sizes]
    step = sizes.width.step, sizes.height.step
    ends = [(sizes.width[0], sizes.height[0]), (sizes.width[-1], sizes.height[-1])]
    return [Size(*size, node.rates(fourcc, size), step) for size in ends]


def _table(camera: ProbedCamera) -> str:
    names = [camera.node, *camera.lasting_names]
    lines = [f"{camera.node}  {camera.name}", *(f"  to choose it: CAMERA_SOURCE={name}" for name in names)]
    if camera.trouble:
        return "\n".join([*lines, f"  it cannot be asked: {camera.trouble}"])
    lines.append("  formats")
    for one in camera.formats:
        steps = "".join(" and more, in steps of {}x{}".format(*size.step) for size in one.sizes[-1:] if size.step)
        lines += [f"    {one.fourcc}  {size.width}x{size.height}  {_rates(size.fps)}{steps}" for size in one.sizes]
    lines.append("  controls" if camera.controls else "  no controls")
    width = max((len(one.name) for one in camera.controls), default=0)
    for control in camera.controls:
        lines.append(f"    {control.name:<{width}}  {_range(control)}")
    return "\n".join(lines)


def _rates(fps: list[float]) -> str:
    return f"{', '.join(f'{rate:g}' for rate in fps)} fps" if fps else "any fps"


def _range(control: Control) -> str:
    if control.menu:
        allowed = ", ".join(f"{value}: {name}" for value, name in control.menu.items())
    else:
        allowed = f"{control.minimum} to {control.maximum}, default {control.default}"
    return f"{control.value}  ({allowed})" + ("  inactive" if control.inactive else "")
