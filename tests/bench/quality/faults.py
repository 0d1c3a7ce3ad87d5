"""What happens to a camera: each fault changes the pictures from one moment on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from tests.bench.quality.scenes import HEIGHT, HOUR, KINDS, WIDTH, Camera, Plane

Shown = NDArray[np.uint8]
Broken = Callable[[float, float], Shown]
"""A picture at that time, so many seconds after it began."""


@dataclass(frozen=True)
class Fault:
    """`means`: verdicts that name it rightly. `slots`: for how many it is watched."""

    make: Callable[[Camera, np.random.Generator], Broken]
    means: tuple[str, ...]
    slots: int = 48
    aim: float | None = None
    """Slots until it is told, of nineteen in twenty that are told."""
    kinds: tuple[str, ...] = KINDS
    """Of cameras that it befalls."""
    by_day: bool = False
    """It begins between 8 and 15 h."""


def _soft(seen: Plane, by: float) -> Plane:
    """What falls on the sensor, out of focus."""
    top = max(1e-6, float(seen.max()))
    grey = Image.fromarray(np.rint(np.sqrt(np.clip(seen / top, 0, 1)) * 255).astype(np.uint8))
    soft = np.asarray(grey.filter(ImageFilter.GaussianBlur(by)), dtype=np.float32) / 255
    return (soft**2 * top).astype(np.float32)


def _tape(camera: Camera, rng: np.random.Generator) -> Broken:
    """Opaque, or letting a little light through."""
    through = float(rng.choice([0.0, 0.0, 0.05, 0.3]))

    def shown(at: float, _: float) -> Shown:
        seen = camera.radiance(at)
        return camera.expose(np.full_like(seen, float(seen.mean()) * through * 0.5 + 1e-5))

    return shown


def _bag(camera: Camera, rng: np.random.Generator) -> Broken:
    """Something hangs before the lens, out of focus."""
    folds = rng.uniform(0.3, 0.6, (4, 6)).astype(np.float32)
    cloth = np.asarray(Image.fromarray(folds).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    part = float(rng.uniform(0.85, 1.0))
    edge = np.arange(WIDTH)[None, :] < part * WIDTH

    def shown(at: float, _: float) -> Shown:
        seen = camera.radiance(at)
        return camera.expose(np.where(edge, cloth * float(seen.mean()) * 1.2, seen).astype(np.float32))

    return shown


def _knock(far: tuple[float, float], turn: float) -> Callable[[Camera, np.random.Generator], Broken]:
    """`far`: part of the picture's width by which it is off; up to so many degrees."""

    def make(camera: Camera, rng: np.random.Generator) -> Broken:
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(*far) * WIDTH
        right = float(np.clip(np.cos(angle) * length, -62, 62))
        down = float(np.clip(np.sin(angle) * length, -62, 62))
        camera.pose = (right, down, float(rng.uniform(-turn, turn)))
        return lambda at, _: camera.picture(at)

    return make


def _frozen(camera: Camera, rng: np.random.Generator) -> Broken:
    kept: list[Shown] = []
    stamped = bool(rng.random() < 0.5)

    def shown(at: float, _: float) -> Shown:
        if not kept:
            kept.append(camera.picture(at))
        again = kept[0].copy()
        if stamped:  # the time in a corner goes on
            again[4:14, 4:60] = (int(at) // 60 * 37) % 256
        return again

    return shown


def _focus(camera: Camera, rng: np.random.Generator) -> Broken:
    """Within five to ten days."""
    days, most = float(rng.uniform(5, 10)), float(rng.uniform(2.0, 4.0))

    def shown(at: float, since: float) -> Shown:
        by = most * min(1.0, since / (days * 24 * HOUR))
        seen = camera.radiance(at)
        return camera.expose(_soft(seen, by) if by > 0.3 else seen)

    return shown


def _unfocused(camera: Camera, rng: np.random.Generator) -> Broken:
    most = float(rng.uniform(1.5, 3.5))
    return lambda at, _: camera.expose(_soft(camera.radiance(at), most))


def _condensed(camera: Camera, rng: np.random.Generator) -> Broken:
    """Fog on the lens itself."""
    by, veil = float(rng.uniform(4, 10)), float(rng.uniform(0.3, 0.8))

    def shown(at: float, _: float) -> Shown:
        seen = _soft(camera.radiance(at), by)
        return camera.expose((seen * (1 - veil) + float(seen.mean()) * veil).astype(np.float32))

    return shown


def _dirt(camera: Camera, rng: np.random.Generator) -> Broken:
    """A quarter to a half of the picture behind mud, edges out of focus."""
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    x, y = rng.uniform(0.2, 0.8) * WIDTH, rng.uniform(0.2, 0.8) * HEIGHT
    wide, high = rng.uniform(0.35, 0.5) * WIDTH, rng.uniform(0.35, 0.5) * HEIGHT
    away = ((xs - x) / wide) ** 2 + ((ys - y) / high) ** 2
    through = np.clip((away - 0.5) * 2, 0.04, 1).astype(np.float32)

    def shown(at: float, _: float) -> Shown:
        seen = camera.radiance(at)
        return camera.expose((seen * through + float(seen.mean()) * 0.25 * (1 - through)).astype(np.float32))

    return shown


def _dying(camera: Camera, rng: np.random.Generator) -> Broken:
    """Noise that grows for two days, and rows that stay."""
    rows = rng.integers(0, HEIGHT, 12)
    value = rng.integers(0, 256, 12)

    def shown(at: float, since: float) -> Shown:
        worse = min(1.0, since / (48 * HOUR))
        found = camera.expose(camera.radiance(at), noise=1 + 14 * worse).copy()
        count = int(12 * worse)
        found[rows[:count]] = value[:count, None]
        return found

    return shown


def _no_lamp(camera: Camera, _: np.random.Generator) -> Broken:
    """The light of a room without windows has failed."""
    return lambda at, _since: camera.expose(camera.radiance(at, lamps=False))


def _overexposed(camera: Camera, rng: np.random.Generator) -> Broken:
    """The exposure is stuck at what a night wanted."""
    gain = float(rng.uniform(20, 60))
    return lambda at, _: camera.expose(camera.radiance(at), gain=gain)


def _underexposed(camera: Camera, _: np.random.Generator) -> Broken:
    return lambda at, _since: camera.expose(camera.radiance(at), gain=0.02)


FAULTS: dict[str, Fault] = {
    "tape": Fault(_tape, ("covered", "dark"), aim=2, by_day=True),
    "bag": Fault(_bag, ("covered", "moved"), aim=2, by_day=True),
    "knock": Fault(_knock((0.12, 0.25), 15), ("moved",), aim=2, by_day=True),
    "small knock": Fault(_knock((0.03, 0.06), 2), ("moved",), by_day=True),
    "frozen": Fault(_frozen, ("frozen",), aim=2),
    "dirt": Fault(_dirt, ("covered",), slots=72, by_day=True),
    "fog on the lens": Fault(_condensed, ("blurred", "covered"), by_day=True),
    "out of focus": Fault(_unfocused, ("blurred",), by_day=True),
    "focus drift": Fault(_focus, ("blurred",), slots=12 * 24, by_day=True),
    "dying sensor": Fault(_dying, ("blurred",), slots=72, by_day=True),
    "light failed": Fault(_no_lamp, ("dark", "covered"), kinds=("hall",), by_day=True),
    "overexposed": Fault(_overexposed, ("bright", "covered"), by_day=True),
    "underexposed": Fault(_underexposed, ("dark", "covered"), by_day=True),
}
