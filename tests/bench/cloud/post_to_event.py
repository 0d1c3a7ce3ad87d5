"""From a trigger's POST to its event: the rows of one measurement, and the cells that measure nothing else."""

from collections.abc import Iterator, Mapping

from tests.bench.cloud import measures
from tests.bench.cloud.fleet import Fleet
from tests.bench.cloud.remote import RemoteFleet
from tests.bench.cloud.table import Row, at_most, at_most_times, percentile, told
from tests.bench.cloud.world import World


def rows(name: str, times: list[float | None], floor: list[float | None], *, judged: bool) -> Iterator[Row]:
    """Milliseconds of the cloud and of the floor that commits, in turn."""
    for percent, most in ((50, 1.5), (99, 3.0)):
        line = f"{name}: POST to event p{percent}, ms"
        ours, theirs = percentile(times, percent), percentile(floor, percent)
        yield at_most_times(line, ours, theirs, most) if judged else told(line, ours, theirs)
    yield at_most(f"{name}: events that never came, of {len(times)}", sum(one is None for one in times), 0)


def one_stream(world: World, name: str, store: str, settings: Mapping[str, str]) -> Iterator[Row]:
    """What a trigger costs where nothing else is to do."""
    with (
        world.floor(store, 1) as (_, floor_fleet),
        world.cloud(1, settings) as cloud,
        RemoteFleet(cloud.url, 1) as fleet,
    ):
        floor_fleet.call(Fleet.connect, 30.0)
        fleet.call(Fleet.connect, 30.0)
        floor, ours = measures.triggers(world.size.triggers, 1, (floor_fleet, ""), (fleet, ""))
        yield from rows(name, ours, floor, judged=False)
