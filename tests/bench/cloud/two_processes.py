"""Two processes on one PostgreSQL with Redis between them, each with half of the fleet."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

from tests.bench.cloud import measures, one_process, post_to_event, seed
from tests.bench.cloud.fleet import Fleet
from tests.bench.cloud.table import Row, at_most, at_most_more, at_most_times, percentile, told
from tests.bench.cloud.world import World
from tests.support.redis import RedisServer
from visant_cloud.settings import CloudSettings


def cell(world: World, streams: int) -> Iterator[Row]:
    """Each has a port of its own, so that a trigger can be sent to the process that does not hold the stream."""
    half = streams // 2
    name = f"two processes, {streams:,} streams"
    with ExitStack() as stack:
        settings = {"DATABASE_URL": world.database()}
        if "redis_url" in CloudSettings.model_fields:
            settings["REDIS_URL"] = stack.enter_context(RedisServer(world.folder / world.name())).url
        else:
            print(f"{name}: this cloud knows no REDIS_URL; measured WITHOUT Redis, by PostgreSQL alone", flush=True)
            name += ", no Redis"
        first = stack.enter_context(world.cloud(streams, settings))
        second = stack.enter_context(world.cloud(streams, settings, beside=True))
        clouds = [first, second]
        fleets = [stack.enter_context(world.fleet(one.url, half, place, 2)) for place, one in enumerate(clouds)]
        floor, floor_fleet = stack.enter_context(world.floor(world.database(), streams))
        floor_fleet.call(Fleet.connect, 60.0)
        for cloud, fleet in zip(clouds, fleets, strict=True):
            connected = measures.connect(cloud, fleet, half)
            yield told(f"{name}: half of them connected, s", connected.seconds)
            if connected.streams < half:
                yield at_most(f"{name}: streams that did not get in", half - connected.streams, 0)
        time.sleep(1)

        bare, same, other = measures.triggers(
            world.size.triggers, half, (floor_fleet, ""), (fleets[0], ""), (fleets[0], second.url)
        )
        yield from post_to_event.rows(name, same, bare, judged=True)
        line = f"{name}: by the other process p50, ms (floor: the same)"
        yield at_most_more(line, percentile(other, 50), percentile(same, 50), 5)
        line = f"{name}: by the other process p99, ms (floor: the same)"
        yield told(line, percentile(other, 99), percentile(same, 99))
        lost = sum(one is None for one in other)
        yield at_most(f"{name}: events that never came, of {len(other)} by the other", lost, 0)
        ended = sum(fleet.call(Fleet.tally).ended for fleet in fleets)
        yield at_most(f"{name}: streams ended by the cloud until here", ended, 0)
        floor.kill()  # what follows is beside other floors, and its streams would come back for ever

        fleets[1].call(Fleet.forget)
        back = measures.back(first, fleets[0], half)
        yield at_most(f"{name}: one's half back after its kill -9, s", back.seconds, 30)
        ended = back.ended + fleets[1].call(Fleet.tally).ended
        yield at_most(f"{name}: streams ended by either meanwhile", ended, 0)

        seed.schedules(first, streams, on=True)
        yield from one_process.fired(world, name, streams, fleets, clouds, [world.postgres.pid])
        seed.schedules(first, streams, on=False)

        for fleet in fleets:
            fleet.call(Fleet.whole, 30.0)
            fleet.call(Fleet.forget)
        found = measures.broadcast(*fleets)
        last = found.last_event if found.heard == streams else None
        yield at_most_times(f"{name}: broadcast, last event, s", last, world.bare(streams).broadcast, 2)
        yield at_most(f"{name}: broadcast, devices that heard nothing", streams - found.heard, 0)
        ended = sum(fleet.call(Fleet.tally).ended for fleet in fleets)
        yield at_most(f"{name}: broadcast, streams ended by the cloud", ended, 0)
