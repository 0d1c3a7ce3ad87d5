"""Pictures stored a second, beside a synced file, a thumbnail and a row for each."""

from collections.abc import Iterator

from tests.bench.cloud.fleet import Fleet
from tests.bench.cloud.picture import picture
from tests.bench.cloud.remote import RemoteFleet
from tests.bench.cloud.table import Row, at_least_times, at_most, told
from tests.bench.cloud.usage import cpu_seconds
from tests.bench.cloud.world import World

_DEVICES = 100
_ROUNDS = 4
"""In turn at the floor and at the cloud."""


def cell(world: World) -> Iterator[Row]:
    """On PostgreSQL, raw JPEGs, no stream open."""
    jpeg, part = picture(), world.size.pictures // _ROUNDS
    with (
        world.floor(world.database(), _DEVICES) as (_, floor_fleet),
        world.cloud(_DEVICES, {"DATABASE_URL": world.database()}) as cloud,
        RemoteFleet(cloud.url, _DEVICES) as fleet,
    ):
        for one in (fleet, floor_fleet):
            one.call(Fleet.store, jpeg, 8, "warm")
        took, floor_took, stored, cpu = 0.0, 0.0, 0, 0.0
        for number in range(_ROUNDS):
            floor_took += floor_fleet.call(Fleet.store, jpeg, part, f"round{number}")[0]
            before = cpu_seconds(cloud.pid)
            seconds, answers = fleet.call(Fleet.store, jpeg, part, f"round{number}")
            took, cpu, stored = took + seconds, cpu + cpu_seconds(cloud.pid) - before, stored + answers[201]
    asked = _ROUNDS * part
    name = f"captures of {len(jpeg) // 1000} kB"
    yield at_least_times(f"{name}: stored a second", stored / took, asked / floor_took, 0.7)
    yield told(f"{name}: CPU of the cloud for each, ms", cpu / asked * 1000)
    yield at_most(f"{name}: not stored, of {asked}", asked - stored, 0)
