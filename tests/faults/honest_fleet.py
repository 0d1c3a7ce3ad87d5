"""An honest fleet: many light devices that hold streams and answer each command with a picture, in their own process.

What they measure is what a person at the page waits for, whatever others do meanwhile: from a trigger to its event at
the device, and from a picture to its receipt. Who triggers is in the same process as who listens, so that both times
are of one clock.
"""

import asyncio
import io
import json
import math
import random
import statistics
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from PIL import Image

from tests.bench.cloud.fleet import Caller, Fleet
from tests.bench.cloud.names import device_id, device_token
from tests.bench.cloud.remote import RemoteFleet

_AT_ONCE = 16
"""Triggers, and pictures, that are under way at the same time."""
_UNDER_WAY = 4
"""Triggers without a receipt yet, at most: what is measured is the cloud, and not the queue before a busy machine."""
_NO_ANSWER = 30.0
"""Seconds after which a request counts as one that nobody answers."""
_LONGEST_WAIT = 2.0
"""Seconds: a device obeys `Retry-After`; one whose scenario lasts a minute asks again sooner."""
_HEARD_WITHIN = 90.0
"""Seconds in which an event, and after a round the last receipt, must come: an end to waiting, and no measure."""
_LATER = (0, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE)
"""Answers after which a device tries again; 0: none."""


@dataclass
class Round:
    """What a few seconds of the fleet's life were like. Times in milliseconds."""

    events: list[float] = field(default_factory=list)
    """From the POST of a trigger to its event, of those that were accepted at once."""
    receipts: list[float] = field(default_factory=list)
    """From the moment that a picture is there to its receipt, of those that were stored at once."""
    refused: "Counter[str]" = field(default_factory=Counter)
    """`trigger 503` and its like: answers after which it was tried again."""
    unheard: int = 0
    """Accepted triggers whose event had not come in time."""
    undelivered: int = 0
    """Pictures without a receipt by then."""
    ended: int = 0
    """Open streams that the cloud ended."""


@dataclass(frozen=True)
class Posted:
    """A trigger that the cloud accepted."""

    device_id: str
    trigger_id: str


def p99(times: Sequence[float]) -> float:
    """The time that 99 of 100 did not exceed (nearest rank); infinite where there is none."""
    return math.inf if not times else sorted(times)[math.ceil(0.99 * len(times)) - 1]


def typical(rounds: Sequence[Sequence[float]]) -> float:
    """The median of the rounds' p99: one bad moment of the machine decides nothing."""
    return statistics.median(p99(times) for times in rounds)


class HonestFleet(Fleet):
    """Runs in the process of `RemoteHonestFleet`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._round = Round()
        self._posted: list[Posted] = []
        self._took: set[str] = set()
        """Trigger ids that were heard: a replay is no second command."""
        self._receipts: set[str] = set()
        self._free: dict[str, asyncio.Queue[Caller]] = {}
        picture = io.BytesIO()
        Image.effect_noise((320, 240), 60).convert("RGB").save(picture, "JPEG", quality=80)
        self._jpeg = picture.getvalue()
        self._work: set[asyncio.Task[None]] = set()

    async def live(self, seconds: float, rate: float) -> Round:
        """Triggers devices for so long, `rate` a second and fewer where _UNDER_WAY are; then waits for these."""
        self._round = mine = Round()
        ended_before = self.ended
        began = time.monotonic()
        gate = asyncio.Semaphore(_UNDER_WAY)
        for number in range(round(seconds * rate)):
            await asyncio.sleep(began + number / rate - time.monotonic())
            await gate.acquire()
            if time.monotonic() > began + seconds:
                break
            self._start(self._picture(self.rng.randrange(self.count), mine, gate))
        await self._until_done(mine)
        mine.ended = self.ended - ended_before
        return mine

    async def posted(self) -> list[Posted]:
        """Every trigger that the cloud accepted."""
        return self._posted

    def heard(self, number: int, trigger_id: str, kind: str, now: float) -> None:
        """A command came: the picture is on its way."""
        super().heard(number, trigger_id, kind, now)
        if trigger_id not in self._took:
            self._took.add(trigger_id)
            self._start(self._deliver(number, trigger_id, self._round))

    async def _picture(self, place: int, mine: Round, gate: asyncio.Semaphore) -> None:
        """A trigger, its event and its receipt, or its place is free after _HEARD_WITHIN."""
        try:
            trigger_id = await self._trigger(place, mine)
            deadline = time.monotonic() + _HEARD_WITHIN
            while trigger_id not in self._receipts and time.monotonic() < deadline:
                await asyncio.sleep(0.005)
        finally:
            gate.release()

    async def _trigger(self, place: int, mine: Round) -> str:
        name = device_id(self._streams[place].number)
        key = f"Idempotency-Key: honest-{random.getrandbits(64):x}"
        tries, began = 0, time.monotonic()
        while True:
            status, body, retry_after = await self._ask("trigger", "POST", f"/v1/devices/{name}/trigger", b"", key)
            tries += 1
            if status == HTTPStatus.OK:
                break
            mine.refused[f"trigger {status}"] += 1
            assert status in _LATER, f"a trigger was refused: {status} {body[:200]!r}"
            await asyncio.sleep(min(retry_after or 0.5, _LONGEST_WAIT))
        trigger_id = json.loads(body)["trigger_id"]
        self._posted.append(Posted(name, trigger_id))
        at = await self._event_of(trigger_id, _HEARD_WITHIN)
        if at is None:
            mine.unheard += 1
        elif tries == 1:
            mine.events.append((at - began) * 1000)
        return str(trigger_id)

    async def _deliver(self, number: int, trigger_id: str, mine: Round) -> None:
        told = {
            "device_id": device_id(number),
            "trigger_id": trigger_id,
            "captured_at": datetime.now(UTC).isoformat(),
            "metadata": {"device_version": "2.0.0", "trigger_type": "manual"},
        }
        more = ("Content-Type: image/jpeg", f"Visant-Capture: {json.dumps(told)}", f"Idempotency-Key: {trigger_id}")
        token, tries = device_token(number), 0
        while True:
            began = time.monotonic()
            status, body, retry_after = await self._ask(
                "picture", "POST", "/v1/captures", self._jpeg, *more, token=token
            )
            tries += 1
            if status in (HTTPStatus.OK, HTTPStatus.CREATED):
                break
            mine.refused[f"picture {status}"] += 1
            assert status in _LATER, f"a picture was refused: {status} {body[:200]!r}"
            await asyncio.sleep(min(retry_after or 0.5, _LONGEST_WAIT))
        self._receipts.add(trigger_id)
        if tries == 1:
            mine.receipts.append((time.monotonic() - began) * 1000)

    async def _ask(
        self, queue: str, method: str, path: str, body: bytes, *more: str, token: str | None = None
    ) -> tuple[int, bytes, float | None]:
        """(status, body, Retry-After), on the next free connection: a slow cloud lets them wait for each other."""
        free = self._free.get(queue)
        if free is None:
            free = self._free[queue] = asyncio.Queue()
            for _ in range(_AT_ONCE):
                free.put_nowait(Caller(self, self.url))
        caller = await free.get()
        try:
            async with asyncio.timeout(_NO_ANSWER):
                if token is None:
                    status, answer = await caller.ask(method, path, body, *more)
                else:
                    status, answer = await caller.ask(method, path, body, *more, token=token)
            return status, answer, caller.retry_after
        except TimeoutError:
            caller.close()
            return 0, b"no answer", None
        finally:
            free.put_nowait(caller)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._round.refused[f"{type(error).__name__}: {error}"] += 1

    async def _until_done(self, mine: Round) -> None:
        deadline = time.monotonic() + _HEARD_WITHIN
        while self._work and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        mine.undelivered = len(self._took - self._receipts)


class RemoteHonestFleet(RemoteFleet):
    """`HonestFleet` with these arguments, in a fresh process that ends with the block."""

    kind = HonestFleet
