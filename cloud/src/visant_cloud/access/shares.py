"""What one device, one stranger, may hold of a process at once: requests whose body comes, and the bytes of it.

Whoever is over its share is told to come back; nobody waits in a queue that another fills.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fastapi import Request

from visant_cloud.problems import Refusal

_RETRY = 5
"""Seconds."""
MAX_BODY_BYTES = 256 << 10
"""Nothing that devices, programs or pages send is larger, captures apart: captures/intake.py counts those itself."""
LARGE_BODY_BYTES = 1 << 20
"""Where a list of 10,000 devices or pictures may be sent."""
LARGE_BODIES = ("/v1/bulk", "/v1/bulk/preview", "/v1/captures/archive")
BODY_SECONDS = 60.0
"""For the whole of such a body: 2.4 kbit/s for a telemetry of the usual size."""
ALLOWANCE = "visant.allowance"
"""Key of the scope: what may come as the body of this request. Without it nothing is read."""


@dataclass
class Share:
    """One kind of sender. `each`: requests of one; `everybody`: of all; `size`: bytes of one. None: unbounded.

    `until_read`: a request counts until its body is here; else until it is answered, for what is made of the body.
    """

    whose: str
    """As the refusal says it: `this device`."""
    each: int
    everybody: int | None = None
    size: int | None = None
    until_read: bool = False
    _held: dict[str, list[int]] = field(default_factory=dict)
    """key -> [requests, bytes]; only those that hold something."""
    _requests: int = 0

    def enter(self, key: str) -> None:
        """One request more. Raises Refusal: 429 where this one has too many, 503 where all together have."""
        held = self._held.get(key, [0, 0])
        if held[0] >= self.each:
            raise self._over()
        if self.everybody is not None and self._requests >= self.everybody:
            detail = "Too many send at this moment; come back when Retry-After has passed"
            raise Refusal(503, detail, "busy", retry_after=_RETRY)
        held[0] += 1
        self._requests += 1
        self._held[key] = held

    def grow(self, key: str, size: int) -> None:
        """So many bytes more, of a request that has entered. Raises Refusal where they are too many."""
        held = self._held[key]
        held[1] += size
        if self.size is not None and held[1] > self.size:
            raise self._over()

    def leave(self, key: str, size: int) -> None:
        """A request is over that had brought so many bytes."""
        held = self._held[key]
        held[0] -= 1
        held[1] -= size
        self._requests -= 1
        if not held[0]:
            del self._held[key]

    def _over(self) -> Refusal:
        detail = f"Too much from {self.whose} is on its way already; come back when Retry-After has passed"
        return Refusal(429, detail, "share", retry_after=_RETRY)


class Shares:
    """One per process. `largest`: bytes of the largest capture as it is sent."""

    def __init__(self, largest: int) -> None:
        # of ours a device has 2 requests on their way, up to 4 with those that hang since its network changed, and as
        # many again from before it was switched off and on; 44 MB are 60 pictures of the usual size
        self.devices = Share("this device", 16, size=2 * largest)
        # sign-ins and enrolments: 16 KiB each
        self.strangers = Share("this address", 8, 256, until_read=True)
        # captures without a token until they have named their device: 4 KiB and what came with that
        self.beginning = Share("this address", 128, 512)
        # streams of events: each costs what is read for it, and a look each few seconds whether its reader still may
        self.readers = Share("this reader", 20, 200)
        # those that do not name it first: each may be as large as a capture
        self.unnamed = Share("this address", 2, 6)


@dataclass
class Allowance:
    """What may come as the body of one request, by the word of its route's guard (guarded.py)."""

    size: int | None = None
    """Bytes at most; None: whoever reads it counts."""
    seconds: float | None = None
    """For the whole of it; None: silence alone is bounded (connections.py)."""
    share: Share | None = None
    key: str = ""
    """Who counts as one in `share`."""
    mark: int = 0
    """`hub.mark()` of before the guard read who this is."""
    again: Callable[[Request], Awaitable[object]] | None = None
    """Asks once more whether the sender may; raises Refusal where that is over."""
    unnamed: "Allowance | None" = None
    """Where nobody is known by the head of the request: what it is if the body does not begin with a device's id."""
