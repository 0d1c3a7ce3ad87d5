"""A camera's pictures over months, made by a seed: a scene, its light, its weather, who passes. Small and grey.

A scene is made of surfaces on a canvas larger than the picture, so that a camera may be knocked aside. Numbers are of
no real place: they are chosen so that what a webcam does with its exposure and noise is there, day and night.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Plane = NDArray[np.float32]
WIDTH, HEIGHT = 320, 180
_MARGIN = 64
_CANVAS = WIDTH + 2 * _MARGIN, HEIGHT + 2 * _MARGIN
Kind = Literal["street", "yard", "office", "hall"]
KINDS: tuple[Kind, ...] = ("street", "yard", "office", "hall")
HOUR, DAY = 3600.0, 86400.0
MONDAY = 1_772_409_600.0
"""2026-03-02, 00:00 UTC."""


@dataclass
class Camera:
    """A scene and what is in front of it. `pose` is where it looks: shift in pixels, turn in degrees."""

    seed: int
    kind: Kind = "street"
    pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
    start: float = MONDAY
    _cloud: float = 0.5
    _fog: float = 0.0
    _parked: list[tuple[float, Image.Image, tuple[int, int]]] = field(default_factory=list)
    _last: float = 0.0
    _views: dict[tuple[float, float, float], tuple[Plane, Plane, Plane]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kind = KINDS[self.seed % len(KINDS)]
        self._rng = np.random.default_rng([self.seed, 1])
        make = np.random.default_rng([self.seed, 2])
        self.outdoor = self.kind in ("street", "yard")
        self._noise = float(make.uniform(0.7, 1.8))
        self._sunrise, self._sunset = float(make.uniform(5, 7)), float(make.uniform(17, 20))
        self._lamp = float(make.uniform(0.1, 0.3)) if make.random() < 0.7 else 0.003
        self._infrared = self.outdoor and make.random() < 0.3
        self._busy = float(make.uniform(0.05, 0.6))
        self._weekend_dark = bool(make.random() < 0.7)
        self._opens, self._closes = float(make.uniform(5, 8)), float(make.uniform(17, 21))
        self._snows = self.kind == "yard" and make.random() < 0.3
        self._surface, self._height, self._depth = _surfaces(make, self.outdoor)
        self._lamps = _spots(make)
        self._night = _spots(make) if self._infrared else self._lamps

    def lights_on(self, at: float) -> bool:
        """Of an office or a hall."""
        day, hour = int(at // DAY), at % DAY / HOUR
        weekend = (day + 3) % 7 >= 5
        return self._opens <= hour < self._closes and not (weekend and self._weekend_dark)

    def radiance(self, at: float, *, lamps: bool = True) -> Plane:
        """What falls on the sensor, in no unit: the scene, its light, who passes, the weather."""
        surface, height, depth = self._looking()
        hour = at % DAY / HOUR
        self._weather(at)
        sun = _sun(hour, self._sunrise, self._sunset)
        light = np.zeros_like(surface)
        if self.outdoor:
            direct = sun * (1 - 0.9 * self._cloud)
            # shadows move with the hour
            shift = round((hour - 12) * 4)
            shade = np.roll(height, shift, axis=1) > height + 0.15
            light += 0.25 * sun * (0.6 + 0.4 * self._cloud) + direct * np.where(shade, np.float32(0), np.float32(0.75))
        else:
            if self.kind == "office":  # a hall has no windows
                light += 0.06 * sun * (1 - 0.6 * self._cloud) * (0.3 + self._lamps)
        if lamps and (self.lights_on(at) if not self.outdoor else sun < 0.12):
            light += self._lamp * (0.15 + (self._night if self.outdoor else self._lamps))
        light += 0.0015
        if self._snows and 20 <= (at - self.start) / DAY < 24:
            surface = np.where(depth < 0.45, 0.8 + 0.2 * (surface - 0.5), surface).astype(np.float32)
        seen = surface * light
        self._passing(seen, light, at, sun)
        if self.outdoor and self._fog > 0.05:
            through = np.exp(-3.0 * self._fog * depth)
            seen = seen * through + (0.5 * sun + 0.002) * (1 - through)
        return seen.astype(np.float32)

    def expose(self, seen: Plane, *, noise: float = 1.0, gain: float | None = None) -> NDArray[np.uint8]:
        """As the webcam shows it: exposure by itself, within its bounds; noise that grows with it."""
        by = min(40.0, max(0.3, 0.24 / max(1e-6, float(seen.mean())))) if gain is None else gain
        value = 255 * np.sqrt(np.clip(seen * by, 0, 1.4))
        sigma = noise * self._noise * (1 + 0.25 * math.sqrt(by))
        value += sigma * self._rng.standard_normal(value.shape, dtype=np.float32)
        shown: NDArray[np.uint8] = np.clip(np.rint(value), 0, 255).astype(np.uint8)
        return shown

    def picture(self, at: float) -> NDArray[np.uint8]:
        """A sound one."""
        shown = self.expose(self.radiance(at))
        if self.outdoor and self._rng.random() < 0.03 * self._cloud:  # rain on the glass
            return np.asarray(Image.fromarray(shown).filter(ImageFilter.GaussianBlur(0.8)))
        return shown

    def _looking(self) -> tuple[Plane, Plane, Plane]:
        if self.pose not in self._views:
            pose = self.pose
            self._views = {pose: (_cut(self._surface, pose), _cut(self._height, pose), _cut(self._depth, pose))}
        return self._views[self.pose]

    def _weather(self, at: float) -> None:
        hours = min(24.0, max(0.0, at - self._last) / HOUR) if self._last else 6.0
        self._last = at
        keeps = 0.5 ** (hours / 5)
        self._cloud = float(np.clip(0.5 + (self._cloud - 0.5) * keeps + self._rng.normal(0, 0.4 * (1 - keeps)), 0, 1))
        if self._fog > 0:
            self._fog = max(0.0, self._fog - 0.12 * hours)
        elif self.outdoor and at % DAY < 9 * HOUR and self._rng.random() < 0.01 * hours:
            self._fog = float(self._rng.uniform(0.2, 1.0))

    def _passing(self, seen: Plane, light: Plane, at: float, sun: float) -> None:
        """People and vehicles, some of them for hours; now and then somebody right before the lens."""
        rng = self._rng
        busy = self._busy * (1.0 if (sun > 0.1 or self.lights_on(at)) else 0.1)
        self._parked = [one for one in self._parked if one[0] > at]
        if rng.random() < 0.1 * busy and len(self._parked) < 3:
            thing = _thing(rng, int(rng.integers(30, 80)), int(rng.integers(20, 50)))
            place = int(rng.integers(0, WIDTH - 30)), int(rng.integers(60, HEIGHT - 20))
            self._parked.append((at + float(rng.exponential(4)) * HOUR, thing, place))
        things = [(thing, place) for _, thing, place in self._parked]
        for _ in range(rng.poisson(busy * 2)):
            high = int(rng.integers(15, 70))
            thing = _thing(rng, max(6, high // 3), high)
            things.append((thing, (int(rng.integers(0, WIDTH)), int(rng.integers(40, HEIGHT - 10)))))
        if rng.random() < 0.002 * busy:
            wide = int(rng.integers(120, 260))
            things.append((_thing(rng, wide, HEIGHT), (int(rng.integers(-20, WIDTH - wide + 20)), 0)))
        for thing, (left, top) in things:
            plane = np.asarray(thing, dtype=np.float32) / 255
            x, y = max(0, left), max(0, top)
            part = plane[y - top : y - top + HEIGHT - y, x - left : x - left + WIDTH - x]
            if part.size:
                area = (slice(y, y + part.shape[0]), slice(x, x + part.shape[1]))
                seen[area] = part * light[area].mean()


def _sun(hour: float, rise: float, set_: float) -> float:
    if not rise < hour < set_:
        dusk = min(abs(hour - rise), abs(hour - set_))
        return max(0.0, 0.03 * (1 - dusk))
    return 0.03 + 0.97 * math.sin(math.pi * (hour - rise) / (set_ - rise))


def _cut(plane: Plane, pose: tuple[float, float, float]) -> Plane:
    right, down, turn = pose
    image = Image.fromarray(plane)
    if turn:
        image = image.rotate(turn, Image.Resampling.BILINEAR)
    left, top = _MARGIN + right, _MARGIN + down
    image = image.transform((WIDTH, HEIGHT), Image.Transform.AFFINE, (1, 0, left, 0, 1, top), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.float32)


def _surfaces(rng: np.random.Generator, outdoor: bool) -> tuple[Plane, Plane, Plane]:
    """How bright each place is, how far it stands out, how far away it is (0 to 1)."""
    wide, high = _CANVAS
    shade = Image.new("L", _CANVAS, int(rng.integers(90, 150)))
    stands = Image.new("L", _CANVAS, 0)
    draw, out = ImageDraw.Draw(shade), ImageDraw.Draw(stands)
    horizon = int(high * rng.uniform(0.3, 0.55))
    draw.rectangle((0, 0, wide, horizon), fill=int(rng.integers(150, 220) if outdoor else rng.integers(120, 190)))
    for _ in range(int(rng.integers(12, 30))):
        w, h = int(rng.integers(15, 110)), int(rng.integers(15, 110))
        x, y = int(rng.integers(-20, wide)), int(rng.integers(0, high - 20))
        draw.rectangle((x, y, x + w, y + h), fill=int(rng.integers(20, 235)))
        out.rectangle((x, y, x + w, y + h), fill=int(rng.integers(30, 255)))
        if rng.random() < 0.5:  # windows, shelves
            step = int(rng.integers(6, 18))
            for at in range(x, x + w, step):
                draw.line((at, y, at, y + h), fill=int(rng.integers(20, 235)), width=int(rng.integers(1, 4)))
            for at in range(y, y + h, step):
                draw.line((x, at, x + w, at), fill=int(rng.integers(20, 235)), width=int(rng.integers(1, 4)))
    for _ in range(int(rng.integers(3, 12))):
        points = [(int(rng.integers(0, wide)), int(rng.integers(horizon, high))) for _ in range(3)]
        draw.polygon(points, fill=int(rng.integers(30, 220)))
    surface = np.asarray(shade.filter(ImageFilter.GaussianBlur(0.6)), dtype=np.float32) / 255
    grain = rng.standard_normal((high, wide), dtype=np.float32)
    blots = Image.fromarray(rng.standard_normal((high // 6, wide // 6), dtype=np.float32))
    coarse = np.asarray(blots.resize(_CANVAS, Image.Resampling.BICUBIC))
    uneven = np.clip(surface * (1 + 0.05 * grain + 0.10 * coarse), 0.02, 1).astype(np.float32)
    height = (np.asarray(stands, dtype=np.float32) / 255).astype(np.float32)
    rows = np.linspace(1.0, 0.0, high, dtype=np.float32)[:, None]
    depth = np.broadcast_to(np.where(rows > 1 - horizon / high, 1.0, rows), (high, wide)).astype(np.float32)
    return uneven, height, depth


def _spots(rng: np.random.Generator) -> Plane:
    """The light of a few lamps, 0 to 1."""
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    light = np.zeros((HEIGHT, WIDTH), np.float32)
    for _ in range(int(rng.integers(1, 5))):
        x, y, wide = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(40, 140)
        light += np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * wide * wide)).astype(np.float32)
    return np.clip(light, 0, 1)


def _thing(rng: np.random.Generator, wide: int, high: int) -> Image.Image:
    thing = Image.new("L", (max(2, wide), max(2, high)), int(rng.integers(20, 230)))
    draw = ImageDraw.Draw(thing)
    for _ in range(int(rng.integers(1, 5))):
        x, y = int(rng.integers(0, wide)), int(rng.integers(0, high))
        draw.rectangle((x, y, x + wide // 2, y + high // 3), fill=int(rng.integers(20, 230)))
    return thing
