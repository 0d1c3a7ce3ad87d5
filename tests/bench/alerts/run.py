"""Runs the bench: two months and the days over HTTP, each in a process of its own."""

import asyncio
import logging
import math
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import structlog

from tests.bench.alerts.findings import Found, judged
from tests.bench.alerts.month import Month
from tests.bench.alerts.road import Road
from tests.bench.rows import Row, last_line, table

_ROAD_RATE = 20.0
"""Ten cameras have a fault in a month or so: over HTTP they come so much oftener."""


def month(seed: int, cameras: int, days: float) -> Found:
    """One month, in a process of its own."""
    return judged(Month(seed, cameras, days).run())


def road(seed: int, cameras: int, days: float) -> Found:
    """The days over HTTP, in a process of their own."""
    quiet = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(wrapper_class=quiet)
    logging.disable(logging.WARNING)
    return judged(asyncio.run(Road(seed, cameras, days, _ROAD_RATE).run()))


def main() -> int:
    """The exit status: 1 where a row misses its aim."""
    seed, short = int(os.environ.get("SEED") or 1), os.environ.get("SHORT") == "1"
    cameras, days, road_days = (100, 3.0, 0.125) if short else (300, 30.0, 2.0)
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        first = pool.submit(month, seed, cameras, days)
        second = None if short else pool.submit(month, seed + 1, cameras, days)
        over_http = pool.submit(road, seed, 10, road_days)
        rows = first.result().rows("month")
        if second is not None:
            rows += second.result().rows("other seed")
            rows.append(_difference(first.result(), second.result()))
        rows += over_http.result().rows("HTTP")
    rows = [row for row in rows if not math.isnan(row.figure)]
    print(table(rows))
    print(last_line(rows))
    return int(any(row.met is False for row in rows))


def _difference(one: Found, other: Found) -> Row:
    """Of waits and messages; counts near zero have no ratio."""
    pairs = [
        (mine.figure, theirs.figure)
        for mine, theirs in zip(one.rows(""), other.rows(""), strict=True)
        if any(word in mine.name for word in ("p50", "p95", "an incident"))
    ]
    return Row("largest difference of the seeds", max(abs(mine / theirs - 1) for mine, theirs in pairs), aim=0.1)
