"""What goes wrong with a fleet, how often, and for how long: the mix of the bench, each rate with where it is from."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from visant_cloud.alerts import kinds

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
Seconds = Callable[[random.Random], float]


def about(median: float, sigma: float) -> Seconds:
    """Log-normal: most near the median, some very long."""
    return lambda r: median * math.exp(r.gauss(0.0, sigma))


def between(least: float, most: float) -> Seconds:
    """Uniform."""
    return lambda r: r.uniform(least, most)


def mean(seconds: float) -> Seconds:
    """Exponential."""
    return lambda r: r.expovariate(1 / seconds)


@dataclass(frozen=True)
class Cause:
    """One line of the mix."""

    name: str
    kind: str
    """Of the alert that it should bring."""
    each: float
    """Seconds between two of one site or device, on the mean."""
    of: Literal["site", "device"]
    lasts: Seconds
    source: str
    share: float = 1.0
    """Of the sites or devices that have it at all."""
    noise: bool = False
    """No fault: whoever is told of it is told for nothing."""


@dataclass(frozen=True)
class Fault:
    """One that happened. Times are seconds of the bench's clock."""

    cause: Cause = field(repr=False)
    devices: tuple[str, ...]
    begin: float
    end: float

    @property
    def lasts(self) -> float:
        """Seconds."""
        return self.end - self.begin


ASSUMED = "assumed"
_BISMARK = (
    "Grover et al., Peeking Behind the NAT (IMC 2013), slides: median of 0.06 downtimes a day in developed countries; "
    "length assumed"
)
_EIA = "US EIA, Electric Power Annual, table 11.1, 2023: SAIFI 1.33 a year, CAIDI 257 min, major events included"

MIX = (
    Cause("the site's link is down", kinds.SILENT, DAY / 0.06, "site", about(20 * MINUTE, 1.2), _BISMARK),
    Cause("power cut", kinds.SILENT, 365 * DAY / 1.33, "site", mean(257 * MINUTE), _EIA),
    Cause("the router restarts", kinds.SILENT, 14 * DAY, "site", between(60, 170), ASSUMED, noise=True),
    Cause("a reconnect", kinds.SILENT, DAY / 3, "device", mean(15), ASSUMED, noise=True),
    Cause("the device is dead", kinds.SILENT, 365 * DAY, "device", about(24 * HOUR, 0.7), ASSUMED),
    Cause("the camera is dead", kinds.CAMERA, 60 * DAY, "device", about(3 * HOUR, 1.0), ASSUMED),
    Cause("the camera is opened anew", kinds.CAMERA, 3 * DAY, "device", between(2, 15), ASSUMED, noise=True),
    Cause("the uploader hangs", kinds.NO_TELEMETRY, 365 * DAY, "device", about(6 * HOUR, 0.7), ASSUMED),
    Cause("a picture fails now and then", kinds.FAILURES, 3 * DAY, "device", between(1, 120), ASSUMED, noise=True),
    Cause("most pictures fail", kinds.FAILURES, 180 * DAY, "device", about(12 * HOUR, 0.7), ASSUMED),
    Cause("uploads fail", kinds.SPOOL, 60 * DAY, "site", about(3 * HOUR, 0.8), ASSUMED),
    Cause("the card fills up", kinds.DISK, 365 * DAY, "device", about(24 * HOUR, 0.7), ASSUMED),
    Cause("a hot afternoon", kinds.HEAT, 4 * DAY, "device", between(2 * HOUR, 6 * HOUR), ASSUMED, share=0.05),
    Cause(
        "warm, and not too hot", kinds.HEAT, 2 * DAY, "device", between(2 * HOUR, 6 * HOUR), ASSUMED, 0.2, noise=True
    ),
    Cause("a weak power supply", kinds.POWER, DAY, "device", between(5 * MINUTE, HOUR), ASSUMED, share=0.05),
    Cause("the clock is set late", kinds.CLOCK, 30 * DAY, "device", between(30, 240), ASSUMED, noise=True),
    Cause("NTP is blocked", kinds.CLOCK, 365 * DAY, "device", about(24 * HOUR, 0.7), ASSUMED),
)
"""Picture faults (lens dirt, fog, knocks, tape) belong here once captures are judged: a Cause of kind `quality`, and in
world.py the figures of a picture beside its outcome."""


def happen(seed: int, sites: dict[str, list[str]], seconds: float, rate: float = 1.0) -> list[Fault]:
    """Everything that goes wrong with these sites (name -> devices), by begin.

    `rate`: faults come so much oftener than MIX says, noise does not.
    Each cause of each site or device has a generator of its own: another line in the mix changes no other line.
    """
    found = []
    for cause in MIX:
        if cause.of == "site":
            everyone = [(name, tuple(devices)) for name, devices in sites.items()]
        else:
            everyone = [(name, (name,)) for devices in sites.values() for name in devices]
        for name, devices in everyone:
            chance = random.Random(f"{seed}/{cause.name}/{name}")
            if chance.random() >= cause.share:
                continue
            often = (1.0 if cause.noise else rate) / cause.each
            at = chance.expovariate(often)
            while at < seconds:
                end = at + cause.lasts(chance)
                found.append(Fault(cause, devices, at, end))
                at = end + chance.expovariate(often)
    return sorted(found, key=lambda one: (one.begin, one.devices))
