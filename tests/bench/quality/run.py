"""Runs cameras through weeks and through faults, judges each picture, and counts what was told."""

import copy
import os
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.bench.quality.faults import FAULTS, Fault
from tests.bench.quality.scenes import DAY, HOUR, MONDAY, Camera
from visant_cloud.quality.judge import Memory, judge
from visant_cloud.quality.measure import measure

SIZE = "320x180"
LEARNING = 10 * DAY
"""Before the first faults."""
FAULTS_EVERY = 13 * DAY
PACKAGE_CAMERAS = 4
_AFTER = 12
"""Slots that are looked at though it was told: other rules may be later."""


@dataclass
class Told:
    """How one rule did. `slots`: until it was told, None: it was not."""

    false: int = 0
    slots: dict[str, list[int | None]] = field(default_factory=lambda: defaultdict(list))
    named: dict[str, int] = field(default_factory=lambda: defaultdict(int))


@dataclass
class Weeks:
    """One camera's. `plain`: mean and Laplacian variance of each picture, healthy and of each fault."""

    weeks: float
    ours: Told = field(default_factory=Told)
    package: Told | None = None
    plain: list[tuple[float, float]] = field(default_factory=list)
    plain_faults: list[tuple[str, list[tuple[float, float]]]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


def run(seed: int, cameras: int, weeks: int, step: float, *, package: bool) -> list[Weeks]:
    """Every camera is of the seed and its number alone: how many processes work on it changes nothing."""
    work = partial(one_camera, first=seed * 10_000, weeks=weeks, step=step, package=package)
    numbers = [seed * 10_000 + number for number in range(cameras)]
    with ProcessPoolExecutor(min(len(os.sched_getaffinity(0)), cameras)) as processes:
        return list(processes.map(work, numbers))


def one_camera(number: int, *, first: int, weeks: int, step: float, package: bool) -> Weeks:
    """Sound weeks; now and then a copy of the camera meets every fault. The package looks at the first few cameras."""
    camera, memory, found = Camera(number), Memory(), Weeks(weeks)
    watch = _Package() if package and number - first < PACKAGE_CAMERAS else None
    if watch is not None:
        found.package = Told()
    chance = np.random.default_rng([number, 3])
    offset = float(chance.uniform(0, step))
    next_fault = MONDAY + LEARNING
    for at in _times(MONDAY + offset, weeks, step):
        if at >= next_fault:
            next_fault += FAULTS_EVERY
            if memory.state == "useful":
                for name, fault in FAULTS.items():
                    _befall(name, fault, camera, memory, at, step, chance, found, watch)
        shown = camera.picture(at)
        before = memory.state
        verdict, memory = judge(measure(Image.fromarray(shown)), SIZE, at, memory)
        if memory.state not in (before, "useful"):
            found.ours.false += 1
            found.reasons.append(
                f"{number} {camera.kind} day {(at - MONDAY) / DAY:.2f}: {verdict.state}: {verdict.reason}"
            )
        found.plain.append(_plain(shown))
        if watch is not None and found.package is not None:
            found.package.false += watch.new(shown)
    return found


def _times(begin: float, weeks: int, step: float) -> Iterator[float]:
    yield from (begin + step * slot for slot in range(int(weeks * 7 * DAY / step)))


def _befall(
    name: str,
    fault: Fault,
    sound: Camera,
    memory: Memory,
    at: float,
    step: float,
    chance: np.random.Generator,
    found: Weeks,
    watch: "_Package | None",
) -> None:
    if sound.kind not in fault.kinds:
        return
    camera = copy.deepcopy(sound)
    begin = at
    if fault.by_day:
        hour = chance.uniform(9, 14)
        begin = at - at % DAY + hour * HOUR
        begin += DAY if begin < at else 0
        while not sound.outdoor and not sound.lights_on(begin):
            begin += DAY
        for sound_at in np.arange(at, begin, step):  # it is well until then
            shown = camera.picture(float(sound_at))
            _, memory = judge(measure(Image.fromarray(shown)), SIZE, float(sound_at), memory)
    watch = copy.deepcopy(watch)
    broken = fault.make(camera, chance)
    slots = package_slots = None
    plain = []
    for slot in range(fault.slots):
        now = begin + slot * step
        shown = broken(now, now - begin)
        verdict, memory = judge(measure(Image.fromarray(shown)), SIZE, now, memory)
        plain.append(_plain(shown))
        if slots is None and memory.state != "useful":
            slots = slot + 1
            found.ours.named[name] += verdict.state in fault.means
        if watch is not None and package_slots is None and watch.new(shown):
            package_slots = slot + 1
        if slots is not None and slot >= _AFTER and (watch is None or package_slots is not None):
            break
    found.ours.slots[name].append(slots)
    found.plain_faults.append((name, plain))
    if found.package is not None:
        found.package.slots[name].append(package_slots)


def _plain(shown: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean and variance of the Laplacian (4 neighbours)."""
    grey = shown.astype(np.float32)
    inner = grey[1:-1, 1:-1]
    laplace = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(grey.mean()), float(laplace.var())


@dataclass(frozen=True)
class Naive:
    """Told where two pictures in a row are darker, brighter or blunter than these."""

    dark: float
    bright: float
    blunt: float

    def slots(self, plain: Sequence[tuple[float, float]]) -> int | None:
        """The slot of the second of them."""
        odd = [mean < self.dark or mean > self.bright or sharp < self.blunt for mean, sharp in plain]
        return next((slot + 1 for slot in range(1, len(odd)) if odd[slot] and odd[slot - 1]), None)


def naive(found: Sequence[Weeks]) -> Naive:
    """With the thresholds that tell most without one false alert in all these sound weeks: nobody could choose better,
    knowing them beforehand."""
    pairs = [(first, second) for one in found for first, second in zip(one.plain, one.plain[1:], strict=False)]
    return Naive(
        min(max(first[0], second[0]) for first, second in pairs),
        max(min(first[0], second[0]) for first, second in pairs),
        min(max(first[1], second[1]) for first, second in pairs),
    )


class _Package:
    """camera-health 0.1.0 from PyPI, where it is installed: its Monitor with its defaults, its first picture as the
    reference. Told where a critical fault is in two pictures in a row, or a repeat."""

    def __init__(self) -> None:
        from camera_health import Monitor  # type: ignore[import-not-found,unused-ignore]

        self._monitor: Any = Monitor(freeze_frames=2)
        self._bad = 0

    def new(self, shown: NDArray[np.uint8]) -> bool:
        """Whether this picture begins an alert."""
        health = self._monitor.update(np.repeat(shown[:, :, None], 3, axis=2))
        self._bad = 0 if health.ok else self._bad + 1
        return self._bad == 2


def percentile(slots: Sequence[int], part: float) -> int:
    """The least that so large a part does not exceed."""
    ordered = sorted(slots)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def middle(slots: Sequence[int]) -> float:
    """The median."""
    return float(statistics.median(slots))
