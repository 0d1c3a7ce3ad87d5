"""The fleet's page over a day of triggers, and what the streams feel of it."""

from collections.abc import Iterator

from tests.bench.cloud import measures, seed
from tests.bench.cloud.fleet import Fleet
from tests.bench.cloud.remote import RemoteFleet
from tests.bench.cloud.table import Row, at_most, at_most_times, percentile, told
from tests.bench.cloud.world import World

_PATH = "/parts/fleet"


def cell(world: World) -> Iterator[Row]:
    """On PostgreSQL; some of the devices hold a stream."""
    size = world.size
    name = f"fleet page, {size.many:,} devices, {size.history:,} triggers"
    with world.cloud(size.many, {"DATABASE_URL": world.database()}) as cloud:
        cloud.kill()
        seed.history(cloud, size.many, size.history)
        cloud.start()
        with RemoteFleet(cloud.url, size.some) as fleet, RemoteFleet(cloud.url, 0) as viewer:
            fleet.call(Fleet.connect, 60.0)
            viewer.call(Fleet.pages, _PATH, 20.0, 1)
            (alone,) = measures.triggers(size.triggers, size.some, (fleet, ""))
            asked = viewer.begin(Fleet.pages, _PATH, size.pages, 500)
            (beside,) = measures.triggers(size.triggers, size.some, (fleet, ""))
            pages = asked()
    yield at_most(f"{name}: p50, ms", percentile(pages.times, 50), 50)
    yield told(f"{name}: p99, ms", percentile(pages.times, 99))
    yield told(f"{name}: kB", pages.size / 1000)
    yield at_most(f"{name}: not answered, of {len(pages.times) + pages.failed}", pages.failed, 0)
    line = f"{name}: POST to event p99 beside it, ms (floor: alone)"
    yield at_most_times(line, percentile(beside, 99), percentile(alone, 99), 1.5)
    lost = sum(one is None for one in beside)
    yield at_most(f"{name}: events that never came beside it, of {len(beside)}", lost, 0)
