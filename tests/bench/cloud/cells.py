"""The cells by the names that BENCH_CELLS takes: a database, a number of streams, and of processes."""

from collections.abc import Callable, Iterator

from tests.bench.cloud import captures, one_process, page, post_to_event, two_processes
from tests.bench.cloud.table import Row
from tests.bench.cloud.world import World


def _sqlite_1(world: World) -> Iterator[Row]:
    return post_to_event.one_stream(world, "SQLite, 1 stream", "sqlite", {})


def _sqlite_1000(world: World) -> Iterator[Row]:
    some = world.size.some
    return one_process.cell(world, f"SQLite, {some:,} streams", some, "sqlite", {})


def _postgresql_1(world: World) -> Iterator[Row]:
    return post_to_event.one_stream(world, "PostgreSQL, 1 stream", world.database(), {"DATABASE_URL": world.database()})


def _postgresql(world: World, streams: int, *, judged: bool) -> Iterator[Row]:
    name = f"PostgreSQL, {streams:,} streams"
    settings = {"DATABASE_URL": world.database()}
    return one_process.cell(world, name, streams, world.database(), settings, judged=judged)


CELLS: dict[str, Callable[[World], Iterator[Row]]] = {
    "sqlite-1": _sqlite_1,
    "sqlite-1000": _sqlite_1000,
    "postgresql-1": _postgresql_1,
    "postgresql-1000": lambda world: _postgresql(world, world.size.some, judged=False),
    "postgresql-10000": lambda world: _postgresql(world, world.size.many, judged=True),
    "two-10000": lambda world: two_processes.cell(world, world.size.many),
    "page": page.cell,
    "captures": captures.cell,
}
