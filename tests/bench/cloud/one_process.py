"""A fleet at one process: comes in, idles, is triggered, is back after SIGKILL, has schedules, is triggered at once."""

import time
from collections.abc import Iterator, Mapping

from tests.bench.cloud import measures, post_to_event, seed
from tests.bench.cloud.fleet import Fleet
from tests.bench.cloud.remote import RemoteFleet
from tests.bench.cloud.servers import Cloud
from tests.bench.cloud.table import Row, at_least_times, at_most, at_most_times, told
from tests.bench.cloud.world import BareFigures, World

Rows = Iterator[Row]


def cell(
    world: World, name: str, streams: int, store: str, settings: Mapping[str, str], *, judged: bool = False
) -> Rows:
    """All of it. The aims are those of the largest fleet (`judged`); a smaller one's figures are told beside floors,
    and it is not killed."""
    bare = world.bare(streams)
    databases = [world.postgres.pid] if "DATABASE_URL" in settings else []
    with world.floor(store, streams) as (_, floor_fleet), world.cloud(streams, settings) as cloud:
        floor_fleet.call(Fleet.connect, 60.0)
        with world.fleet(cloud.url, streams) as fleet:
            connected = measures.connect(cloud, fleet, streams)
            refused = fleet.call(Fleet.tally).refused
            time.sleep(1)
            idle, database = measures.percent_of_a_core(world.size.ping_every, [cloud.pid], databases)
            yield from _connected(name, streams, connected, idle, bare, judged=judged)
            for status, times in sorted(refused.items()):
                yield told(f"{name}: connects answered {status or 'not at all'}", times)
            line = f"{name}: idle, cloud, percent of a core"
            yield at_most(line, idle, 10, bare.idle) if judged else told(line, idle, bare.idle)
            if databases:
                yield told(f"{name}: idle, PostgreSQL, percent of a core", database)

            floor, ours = measures.triggers(world.size.triggers, streams, (floor_fleet, ""), (fleet, ""))
            yield from post_to_event.rows(name, ours, floor, judged=judged)
            yield at_most(f"{name}: streams ended by the cloud until here", fleet.call(Fleet.tally).ended, 0)

            if judged:
                yield from _back(name, streams, cloud, fleet, bare)
            yield from _scheduled(world, name, streams, cloud, fleet, floor_fleet, databases, judged=judged)
            yield from _broadcast(name, streams, fleet, floor_fleet, bare, judged=judged)


def _connected(
    name: str, streams: int, connected: measures.Connected, idle: float, bare: BareFigures, *, judged: bool
) -> Rows:
    theirs = bare.connected
    yield told(f"{name}: all connected, s", connected.seconds, theirs.seconds)
    line, cpu = f"{name}: CPU a connect, ms", (connected.cpu_ms(idle), theirs.cpu_ms(bare.idle))
    yield at_most_times(line, *cpu, 3) if judged else told(line, *cpu)
    line, memory = f"{name}: memory a stream, KiB", (connected.kib, theirs.kib)
    yield at_most_times(line, *memory, 2) if judged else told(line, *memory)
    if connected.streams < streams:
        yield at_most(f"{name}: streams that did not get in", streams - connected.streams, 0)


def _back(name: str, streams: int, cloud: Cloud, fleet: RemoteFleet, bare: BareFigures) -> Rows:
    back = measures.back(cloud, fleet, streams)
    yield at_most(f"{name}: all back after kill -9, s", back.seconds, 30, bare.back)
    if back.missing:
        yield at_most(f"{name}: not back in time", back.missing, 0)
    yield at_most(f"{name}: streams ended by the cloud meanwhile", back.ended, 0)
    yield at_most(f"{name}: confirmed more than once", back.again, 0)


def _scheduled(
    world: World,
    name: str,
    streams: int,
    cloud: Cloud,
    fleet: RemoteFleet,
    floor_fleet: RemoteFleet,
    databases: list[int],
    *,
    judged: bool,
) -> Rows:
    """Every device has a schedule of one minute, at the cloud and at the floor."""
    seed.schedules(cloud, streams, on=True)
    floor_fleet.call(Fleet.ask, "POST", "/schedules/on")
    yield from fired(world, name, streams, [fleet], [cloud], databases)
    floor, ours = measures.triggers(world.size.triggers, streams, (floor_fleet, ""), (fleet, ""))
    yield from post_to_event.rows(f"{name}, {streams:,} schedules", ours, floor, judged=judged)
    seed.schedules(cloud, streams, on=False)
    floor_fleet.call(Fleet.ask, "POST", "/schedules/off")


def fired(
    world: World, name: str, devices: int, fleets: list[RemoteFleet], clouds: list[Cloud], databases: list[int]
) -> Rows:
    """Schedules that were just set keep up, and none fires twice."""
    time.sleep(3)  # the first are due
    for fleet in fleets:
        fleet.call(Fleet.forget)
    began = time.monotonic()
    cpu, database = measures.percent_of_a_core(world.size.scheduled, [cloud.pid for cloud in clouds], databases)
    tallies = [fleet.call(Fleet.tally) for fleet in fleets]
    events = sum(tally.scheduled for tally in tallies) / (time.monotonic() - began)
    due = devices / seed.INTERVAL
    yield at_most(f"{name}, {devices:,} schedules: cloud, percent of a core", cpu, 25)
    if databases:
        yield told(f"{name}, {devices:,} schedules: PostgreSQL, percent of a core", database)
    yield at_least_times(f"{name}, {devices:,} schedules: events a second (floor: due)", events, due, 0.95)
    again = sum(tally.scheduled_again for tally in tallies)
    yield at_most(f"{name}, {devices:,} schedules: fired twice", again, 0)


def _broadcast(
    name: str, streams: int, fleet: RemoteFleet, floor_fleet: RemoteFleet, bare: BareFigures, *, judged: bool
) -> Rows:
    fleet.call(Fleet.whole, 60.0)
    fleet.call(Fleet.forget)
    durable, found = measures.broadcast(floor_fleet), measures.broadcast(fleet)
    last = found.last_event if found.heard == streams else None
    line = f"{name}: broadcast, last event, s"
    yield at_most_times(line, last, bare.broadcast, 2) if judged else told(line, last, bare.broadcast)
    yield told(f"{name}: the same beside the floor that commits", last, durable.last_event)
    if found.heard < streams:
        yield told(f"{name}: last event of those that came, s", found.last_event, durable.last_event)
    yield at_most(f"{name}: broadcast, devices that heard nothing", streams - found.heard, 0)
    yield at_most(f"{name}: broadcast, streams ended by the cloud", fleet.call(Fleet.tally).ended, 0)
