"""The way of the pictures: answers that are no receipt, no answer, a receipt lost, a network that is gone."""

import asyncio
import zlib
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


# ---- neighbours: who stands between device and cloud and answers in its place


async def _proxy_400(arena: Arena) -> None:
    arena.proxy.faults.posts = Answer(400, page=True)
    await asyncio.sleep(10.0)
    arena.proxy.faults.posts = None
    arena.struck(any("post answered" in name for name in arena.proxy.faults.counts), "posts answered 400")


async def _nothing_given_up(arena: Arena) -> None:
    """Also what arrived in the end must never have been called lost."""
    kept = [path.name for path in (arena.device.spool / "dead-letter").iterdir()]
    assert not kept, f"dead letters: {kept[:3]}"


add(
    Scenario(
        "proxy_400",
        _proxy_400,
        "a proxy answers every POST with a page and 400 for 10 s",
        check=_nothing_given_up,
    )
)


def _is_unlucky(head: bytes) -> bool:
    """One upload in five, the same ones each time: by the trigger's id."""
    lines = head.lower().split(b"\r\n")
    return any(line.startswith(b"idempotency-key:") and zlib.crc32(line) % 5 == 0 for line in lines)


async def _firewall(arena: Arena) -> None:
    arena.proxy.faults.firewall = _is_unlucky
    await asyncio.sleep(15.0)
    arena.proxy.faults.firewall = None
    arena.struck(arena.proxy.faults.counts.get("upload refused by the firewall", 0) > 0, "uploads refused")


async def _others_were_quick(arena: Arena) -> None:
    await _nothing_given_up(arena)
    rows = await arena.target.triggers(arena.device.device_id)
    lucky = [row for row in rows.values() if not _is_unlucky(b"idempotency-key: " + row.trigger_id.encode())]
    late = [row.latency for row in lucky if row.latency is None or row.latency > 20.0]
    assert not late, f"{len(late)} of {len(lucky)} that no firewall refused came late: {late[:3]}"


add(
    Scenario(
        "firewall_403",
        _firewall,
        "a firewall refuses one picture in five with a page and 403 for 15 s; the others must not wait for them",
        check=_others_were_quick,
    )
)


async def _retry_after(arena: Arena) -> None:
    arena.proxy.faults.uploads = Answer(429, retry_after=20)
    for _ in range(6):
        await asyncio.sleep(2.0)
        arena.proxy.cut_streams()
    asked = arena.proxy.faults.counts.get("upload answered 429", 0)
    arena.proxy.faults.uploads = None
    arena.struck(asked > 0, "uploads answered 429")
    assert asked <= 3, f"{asked} uploads in 12 s, though 20 s were asked for"  # two side by side, one under way


add(
    Scenario(
        "retry_after_and_streams",
        _retry_after,
        "429 with Retry-After 20 for 12 s while the stream is cut and confirmed again every 2 s",
        short=False,
    )
)


async def _strip(arena: Arena) -> None:
    arena.proxy.faults.strip = b"visant-capture"
    await asyncio.sleep(10.0)
    arena.proxy.faults.strip = b""
    arena.struck(arena.proxy.faults.counts.get("header stripped", 0) > 0, "raw pictures came without their header")


add(
    Scenario(
        "raw_header_stripped",
        _strip,
        "a proxy takes the header off raw pictures for 10 s",
        check=_nothing_given_up,
        short=False,
    )
)
