"""Each thing that is measured, done to a server and its fleet: the same to the cloud and to the floor."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.cloud.fleet import Broadcast, Fleet
from tests.bench.cloud.remote import RemoteFleet
from tests.bench.cloud.servers import Server
from tests.bench.cloud.usage import cpu_seconds, kib

_CONNECT_WITHIN = 150.0
_BACK_WITHIN = 120.0
_BROADCAST_WITHIN = 45.0
"""Seconds, at most."""
_IN_TURN = 10
"""Triggers at one server before the next one's turn."""


@dataclass(frozen=True)
class Connected:
    """A whole fleet came in. `streams`: those that were open at the end; `cpu` in seconds, all of the server's."""

    seconds: float
    streams: int
    cpu: float
    kib: float
    """Memory of each stream."""

    def cpu_ms(self, idle: float) -> float:
        """CPU of each connect, milliseconds. `idle`: percent of a core that the whole fleet takes when it is in; half
        of that, for the time that it took to come in, is for pings and timers, which are another figure."""
        return max(0.0, self.cpu - idle / 100 * self.seconds / 2) / max(1, self.streams) * 1000


@dataclass(frozen=True)
class Back:
    """After SIGKILL: seconds from the server's first answer to the last stream's `connected`, None where some stayed
    away. `again`: confirmations beyond one a device."""

    seconds: float | None
    missing: int
    ended: int
    again: int


def warm(server: Server) -> None:
    """The first stream and trigger pay for what is loaded late; nobody measures them."""
    with RemoteFleet(server.url, 2) as few:
        few.call(Fleet.connect, 30.0)
        few.call(Fleet.trigger, [0, 1, 0, 1])
    time.sleep(0.3)


def connect(server: Server, fleet: RemoteFleet, streams: int) -> Connected:
    """Every stream of the fleet, for the first time."""
    cpu, memory = cpu_seconds(server.pid), kib(server.pid)
    seconds = fleet.call(Fleet.connect, _CONNECT_WITHIN)
    cpu = cpu_seconds(server.pid) - cpu
    time.sleep(0.5)  # what is freed late
    memory = kib(server.pid) - memory
    return Connected(seconds, fleet.call(Fleet.tally).connected, cpu, memory / streams)


def percent_of_a_core(seconds: float, *groups: Sequence[int]) -> list[float]:
    """What each group of processes uses while nothing is asked of them for so long."""
    before, began = [cpu_seconds(*group) for group in groups], time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    return [(cpu_seconds(*group) - was) / took * 100 for group, was in zip(groups, before, strict=True)]


def triggers(count: int, streams: int, *fleets: tuple[RemoteFleet, str]) -> list[list[float | None]]:
    """Milliseconds from POST to event of one trigger at a time, at each (fleet, URL) in turn: other work of the machine
    meets them alike."""
    found: list[list[float | None]] = [[] for _ in fleets]
    rng = random.Random(1)
    for fleet, _ in fleets:
        fleet.call(Fleet.tidy)
    for _ in range(0, count, _IN_TURN):
        places = [rng.randrange(streams) for _ in range(_IN_TURN)]
        for times, (fleet, url) in zip(found, fleets, strict=True):
            times += fleet.call(Fleet.trigger, places, url)
    return found


def broadcast(*fleets: RemoteFleet) -> Broadcast:
    """Every device of every fleet is triggered as soon as may be."""
    results = [ending() for ending in [fleet.begin(Fleet.broadcast, _BROADCAST_WITHIN) for fleet in fleets]]
    last = [result.last_event for result in results if result.last_event is not None]
    return Broadcast(
        max(last) if last else None,
        sum(result.heard for result in results),
        sum(result.not_accepted for result in results),
    )


def back(server: Server, fleet: RemoteFleet, streams: int) -> Back:
    """The server is killed and started again at once; its devices come back by their own rule."""
    fleet.call(Fleet.whole, 30.0)
    fleet.call(Fleet.outage)
    fleet.call(Fleet.forget)
    server.kill()
    server.start()
    answering = time.monotonic()
    whole = fleet.call(Fleet.whole, _BACK_WITHIN)
    tally = fleet.call(Fleet.tally)
    return Back(
        tally.last_confirmed - answering if whole else None,
        streams - tally.connected,
        tally.ended,
        max(0, tally.confirmations - streams),
    )
