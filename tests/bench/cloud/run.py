"""One run: which cells, how large, the table as it grows, and its last line."""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.cloud.cells import CELLS
from tests.bench.cloud.table import Row, heading, last_line, shown
from tests.bench.cloud.world import LONG, SHORT, World
from tests.support.postgres import PostgresServer

_OTHER_FILES = 500
"""Open files of a process beside its streams."""


def main() -> int:
    """0 where everything could be measured, whether or not an aim is met."""
    short = bool(os.environ.get("SHORT") or os.environ.get("BENCH_SHORT"))
    size = SHORT if short else LONG
    wanted = os.environ.get("BENCH_CELLS", "").replace(",", " ").split() or list(size.cells)
    if unknown := [name for name in wanted if name not in CELLS]:
        print(f"BENCH_CELLS={' '.join(unknown)}: no such cell; there are {', '.join(CELLS)}", file=sys.stderr)
        return 2
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files < size.many + _OTHER_FILES:
        needed = size.many + _OTHER_FILES
        print(f"{size.many} streams need {needed} open files a process, and the limit is {files}: raise `ulimit -Hn`")
        return 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    rows: list[Row] = []
    failed: list[str] = []
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="visant-bench-", ignore_cleanup_errors=True) as name,
        PostgresServer(fsync=True) as postgres,
    ):
        world = World(Path(name), postgres, size)
        print(heading(), flush=True)
        for cell in wanted:
            try:
                for row in CELLS[cell](world):
                    rows.append(row)
                    print(shown(row), flush=True)
            except (RuntimeError, TimeoutError, AssertionError, OSError) as error:
                failed.append(cell)
                print(f"{cell}: could not be measured: {error}", flush=True)
    seconds = time.monotonic() - began
    missed = sum(row.met is False for row in rows)
    print(
        f"{seconds:.0f} s; {sum(bool(row.met) for row in rows)} aims met, {missed} missed, {len(failed)} cells failed"
    )
    print(last_line(rows, short=short, seconds=round(seconds), failed=failed), flush=True)
    return 1 if failed else 0
