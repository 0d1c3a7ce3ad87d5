"""The way of the pictures: answers that are no receipt, no answer, a receipt lost, a network that is gone."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from tests.faults.arena import Arena
from tests.faults.fault_proxy import Answer, UploadFault
from tests.faults.scenario import Scenario, add


async def _uploads(arena: Arena, *, fault: UploadFault, seconds: float, sign: str) -> None:
    arena.proxy.faults.uploads = fault
    await asyncio.sleep(seconds)
    arena.proxy.faults.uploads = None
    arena.struck(any(sign in name for name in arena.proxy.faults.counts), sign)


def _upload_scenario(name: str, fault: UploadFault, sign: str, about: str) -> None:
    work = partial(_uploads, fault=fault, seconds=10.0, sign=sign)
    add(Scenario(name, work, about, short=name != "uploads_503"))


_upload_scenario("uploads_500", Answer(500), "answered 500", "uploads answered with 500 for 10 s")
_upload_scenario("uploads_503", Answer(503), "answered 503", "uploads answered with 503 for 10 s")
_upload_scenario("uploads_429", Answer(429, retry_after=5), "answered 429", "429 with Retry-After 5 for 10 s")
_upload_scenario("uploads_hang", "hang", "hung", "uploads hang for 10 s")
_upload_scenario("receipt_lost", "lose_receipt", "receipt lost", "receipts lost for 10 s after the cloud stored")
_upload_scenario("captive_portal", "captive_portal", "portal", "a portal answers uploads with 200 and HTML for 10 s")


async def _refused(arena: Arena) -> None:
    arena.proxy.faults.refuse = True
    arena.proxy.cut_streams()
    await asyncio.sleep(10.0)
    arena.proxy.faults.refuse = False
    arena.struck(arena.proxy.faults.counts.get("refused", 0) > 0, "connections refused")


add(Scenario("uplink_refused", _refused, "every connection to the cloud refused for 10 s", short=False))


async def _cut(arena: Arena, *, times: int, every: float) -> None:
    cut = 0
    for _ in range(times):
        cut += arena.proxy.cut_streams()
        await asyncio.sleep(every)
    arena.struck(cut > 0, "a stream was open")
    arena.note(f"{cut} streams cut")


add(Scenario("sse_cut", partial(_cut, times=1, every=0.0), "the command stream cut (RST)"))
add(Scenario("sse_cut_again_and_again", partial(_cut, times=6, every=2.0), "the command stream cut six times in 12 s"))


async def _vanish(arena: Arena, *, what: str, seconds: float) -> None:
    setattr(arena.proxy.faults, what, True)
    await asyncio.sleep(seconds)
    setattr(arena.proxy.faults, what, False)
    arena.struck(any("stream bytes" in name for name in arena.proxy.faults.counts), "bytes of the stream vanished")


def _stream_scenario(name: str, fault: Callable[[Arena], Awaitable[None]], about: str, short: bool = True) -> None:
    add(Scenario(name, fault, about, short=short))


_stream_scenario(
    "sse_swallowed",
    partial(_vanish, what="swallow_stream", seconds=15.0),
    "bytes of the command stream swallowed for 15 s with TCP up",
)
_stream_scenario(
    "sse_buffered",
    partial(_vanish, what="buffer_stream", seconds=10.0),
    "a proxy holds the command stream's bytes back for 10 s",
    short=False,
)
