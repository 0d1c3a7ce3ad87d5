"""What one process counts and measures of itself, for Prometheus, and how the process that is asked tells all of them.

Each worker has a registry of its own. A scrape reaches one of them, whichever the kernel chose; the others write theirs
into a file beside their heartbeat every few seconds, and the one that is asked reads it: every sample has the label
`worker`. Devices are no labels: there are ten thousand of them.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, disable_created_metrics
from prometheus_client.metrics_core import Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for each counter, that nobody reads

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

CONNECTS = Counter("visant_stream_connects", "Command streams that were opened", registry=REGISTRY)
SENT = Counter("visant_commands_sent", "Commands written to streams", registry=REGISTRY)
REFUSALS = Counter("visant_refusals", "Requests that were refused, by reason", ["reason"], registry=REGISTRY)
REQUESTS = Counter("visant_requests", "Requests answered, by route and status", ["route", "status"], registry=REGISTRY)
"""Uploads are `POST /v1/captures`: 201 stored, 200 stored before."""
DECODING = Gauge("visant_pictures_decoding", "Pictures that are decoded or wait for it", registry=REGISTRY)
DECODERS_LOST = Counter("visant_decoders_lost", "Decoders that were killed, died or were late", registry=REGISTRY)
_STREAMS = Gauge("visant_streams", "Open command streams", registry=REGISTRY)
_LOADER_LAG = Gauge(
    "visant_loader_lag_seconds", "Seconds for which streams have wanted to read and got nothing", registry=REGISTRY
)
_SCHEDULER_LAG = Gauge(
    "visant_scheduler_lag_seconds", "Seconds by which the longest overdue schedule is late", registry=REGISTRY
)
_CONNECTIONS = Gauge("visant_database_connections", "Connections to the database in use", registry=REGISTRY)

TELL_EVERY = 5.0
"""Seconds between two writes of the file."""
_OLD = 30.0
"""Seconds after which it is that of a worker that is no more."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

Families = list[dict[str, Any]]


def of_process(*, streams: int, loader_lag: float, scheduler_lag: float, connections: int) -> Families:
    """Everything that this process counts, and these measures of now."""
    _STREAMS.set(streams)
    _LOADER_LAG.set(loader_lag)
    _SCHEDULER_LAG.set(scheduler_lag)
    _CONNECTIONS.set(connections)
    return [
        {
            "name": family.name,
            "documentation": family.documentation,
            "type": family.type,
            "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples],
        }
        for family in REGISTRY.collect()
    ]


class Exchange:
    """Of worker `number`. `files`: each worker's; with one worker there is nobody to tell."""

    def __init__(self, files: Mapping[int, Path], number: int) -> None:
        self._files = files
        self._number = number

    def tell(self, families: Families) -> None:
        """Writes what this worker counts. Raises OSError."""
        path = self._files[self._number]
        draft = path.with_name(f"{path.name}.new")
        draft.write_text(json.dumps({"at": time.clock_gettime(time.CLOCK_BOOTTIME), "families": families}))
        os.replace(draft, path)

    def all_workers(self, mine: Families) -> Iterator[Metric]:
        """`mine` and what the others told last, merged: each sample says whose it is."""
        merged: dict[str, Metric] = {}
        for number, file in self._files.items():
            for family in mine if number == self._number else _told(file):
                one = merged.setdefault(family["name"], Metric(family["name"], family["documentation"], family["type"]))
                for name, labels, value in family["samples"]:
                    one.add_sample(name, {**labels, "worker": str(number)}, value)
        yield from merged.values()


def _told(file: Path) -> Families:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return []  # it has just started
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - found["at"]
    families: Families = found["families"]
    return families if 0 <= age <= _OLD else []


class Gathered:
    """What `generate_latest` reads: metrics that were gathered before."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> list[Metric]:
        """prometheus_client's."""
        return self._metrics


class CountRequests:
    """ASGI middleware: REQUESTS. The route is its template, so that no id and no word of a stranger becomes a label."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = getattr(scope.get("route"), "path", None)
                known = path is not None and scope["method"] in _METHODS
                REQUESTS.labels(f"{scope['method']} {path}" if known else "other", message["status"]).inc()
            await send(message)

        await self._app(scope, receive, counted)
