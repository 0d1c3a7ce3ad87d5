"""What the cells share: how much is done, where, and the servers with their fleets."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.cloud import measures, seed
from tests.bench.cloud.fleet import RECONNECT_DELAY
from tests.bench.cloud.remote import RemoteFleet
from tests.bench.cloud.servers import Cloud, Floor
from tests.support.postgres import PostgresServer


@dataclass(frozen=True)
class Size:
    """How much is done. Times in seconds."""

    many: int
    """Streams of the large cells, devices of the page's."""
    some: int
    """Streams of the middle cells."""
    triggers: int
    """One at a time, in each cell."""
    ping_every: float
    """PING_EVERY. An idle fleet is watched for so long: each stream is pinged once meanwhile."""
    scheduled: float
    """Schedules are watched for so long."""
    history: int
    """Triggers that the page looks back on."""
    pages: float
    """The page is asked for again and again for so long."""
    pictures: int
    reconnect_delay: float
    """RECONNECT_DELAY of the devices."""
    cells: tuple[str, ...]


LONG = Size(
    many=10_000,
    some=1_000,
    triggers=300,
    ping_every=20.0,
    scheduled=20.0,
    history=1_000_000,
    pages=15.0,
    pictures=400,
    reconnect_delay=RECONNECT_DELAY,
    cells=(
        "sqlite-1",
        "sqlite-1000",
        "postgresql-1",
        "postgresql-1000",
        "postgresql-10000",
        "two-10000",
        "page",
        "captures",
    ),
)
SHORT = Size(
    many=200,
    some=200,
    triggers=30,
    ping_every=3.0,
    scheduled=3.0,
    history=20_000,
    pages=3.0,
    pictures=60,
    reconnect_delay=0.5,
    cells=("sqlite-1", "sqlite-1000", "postgresql-10000", "two-10000", "page", "captures"),
)
"""Every path once: 163 s on two cores with a load of 1.6 to 9 beside it. Its figures are no promise."""


@dataclass(frozen=True)
class BareFigures:
    """Of the floor without a database."""

    connected: measures.Connected
    idle: float
    """Percent of a core."""
    broadcast: float | None
    """Seconds."""
    back: float | None
    """Seconds."""


@dataclass
class World:
    """A folder and a PostgreSQL for the length of the bench."""

    folder: Path
    postgres: PostgresServer
    size: Size
    _bare: dict[int, BareFigures] = field(default_factory=dict)
    _made: int = 0

    def name(self) -> str:
        """A new one, for a folder or a database."""
        self._made += 1
        return f"bench{self._made}"

    def database(self) -> str:
        """The URL of a new PostgreSQL database."""
        return self.postgres.url(self.name())

    def fleet(self, url: str, count: int, first: int = 0, step: int = 1) -> RemoteFleet:
        """Devices that have not connected yet."""
        return RemoteFleet(url, count, first, step, self.size.reconnect_delay)

    @contextmanager
    def floor(self, store: str, streams: int) -> Iterator[tuple[Floor, RemoteFleet]]:
        """The bare application, and a fleet that has not connected yet. `store`: as floors.py has it."""
        floor = Floor(self.folder / self.name(), store, max(2, streams), self.size.ping_every)
        try:
            floor.start()
            measures.warm(floor)
            with self.fleet(floor.url, streams) as fleet:
                yield floor, fleet
        finally:
            floor.end()

    @contextmanager
    def cloud(self, devices: int, settings: Mapping[str, str], *, beside: bool = False) -> Iterator[Cloud]:
        """A cloud that knows so many devices. `beside`: on another one's database, where they are already."""
        cloud = Cloud(self.folder / self.name(), PING_EVERY=str(self.size.ping_every), **settings)
        try:
            cloud.start()
            if not beside:
                seed.fleet(cloud, max(2, devices))
            measures.warm(cloud)
            yield cloud
        finally:
            cloud.end()

    def bare(self, streams: int) -> BareFigures:
        """The floor without a database under so many streams, measured when first asked for; the largest is killed."""
        if streams not in self._bare:
            with self.floor("none", streams) as (floor, fleet):
                connected = measures.connect(floor, fleet, streams)
                time.sleep(1)
                (idle,) = measures.percent_of_a_core(self.size.ping_every, [floor.pid])
                broadcast = measures.broadcast(fleet)
                largest = streams == self.size.many
                returned = measures.back(floor, fleet, streams).seconds if largest else None
                self._bare[streams] = BareFigures(connected, idle, broadcast.last_event, returned)
        return self._bare[streams]
