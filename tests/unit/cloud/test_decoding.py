"""Decoders as processes: what they may cost, how they are watched, killed and shared."""

import asyncio
import hashlib
import io
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from tests.support.hostile_jpegs import progressive
from visant_cloud.captures.decoding import decode as limits
from visant_cloud.captures.decoding import messages, process
from visant_cloud.captures.decoding import pool as pools
from visant_cloud.captures.decoding.messages import HEAD
from visant_cloud.captures.decoding.pool import DecoderFailed, DecoderPool, DecodersBusy, Sent
from visant_cloud.captures.decoding.process import Decoder, DecoderLost
from visant_cloud.captures.picture import BrokenPicture, CostlyPicture, NotAPicture, Picture
from visant_cloud.metrics import REGISTRY
from visant_cloud.quality.measure import measure
from visant_contract.jpeg import read


def drawn(colour: int = 120) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (colour, 80, 40)).save(file, "JPEG")
    return file.getvalue()


SMALL = drawn()
SLOW = progressive(8_000, 5_000, 1, 150)
"""Just within what the structure may ask for."""


def sent(jpeg: bytes) -> Callable[[], Sent]:
    return lambda: (jpeg, hashlib.sha256(jpeg).hexdigest())


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    one = Decoder(1 << 20)
    yield one
    one.close()


@pytest.fixture
def pool() -> Iterator[DecoderPool]:
    one = DecoderPool(1 << 20, size=2)
    yield one
    one.close()


def peak(pid: int) -> int:
    """Bytes that were resident at most."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def end_soon(pid: int, number: signal.Signals) -> None:
    """It stands still at once and ends by this signal a moment later, with a picture before it."""
    os.kill(pid, signal.SIGSTOP)

    def end() -> None:
        os.kill(pid, number)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    threading.Timer(0.02, end).start()


def test_a_decoder_reads_one_picture_after_the_other_and_says_what_is_none(decoder: Decoder) -> None:
    for _ in range(2):
        width, height, figures, thumbnail = decoder.decode(SMALL)
        assert figures == measure(JpegImageFile(io.BytesIO(SMALL)))
        assert (width, height) == Image.open(io.BytesIO(thumbnail)).size == (64, 48)
        with pytest.raises(NotAPicture, match="FF D8 FF"):
            decoder.decode(b"")
        with pytest.raises(BrokenPicture, match="end marker"):
            decoder.decode(SMALL[:-40])
        with pytest.raises(CostlyPicture, match="scans"):
            decoder.decode(progressive(640, 480, 1, 600))


def test_a_decoder_takes_no_more_memory_than_the_structure_of_a_picture_asks_for(decoder: Decoder) -> None:
    decoder.decode(SMALL)
    before = peak(decoder.pid)
    jpeg = progressive(4_800, 3_600)
    estimate = limits._memory(read(jpeg))
    decoder.decode(jpeg)
    took = peak(decoder.pid) - before
    assert 0.8 * estimate < took < 1.1 * estimate + (8 << 20), (took, estimate)


def test_a_decoder_knows_nothing_of_the_cloud_but_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:secret@h/d")
    one = Decoder(1 << 20)
    try:
        one.decode(SMALL)
        inside = Path(f"/proc/{one.pid}")
        assert b"secret" not in (inside / "environ").read_bytes() and b"PATH=" in (inside / "environ").read_bytes()
        assert len(os.listdir(inside / "fd")) == 3, "its socket, and /dev/null twice"
        found = (inside / "limits").read_text()
        assert "Max file size             0 " in found and "Max processes             0 " in found
        assert (inside / "oom_score_adj").read_text().strip() == "1000"
        modules = (inside / "maps").read_text()
        assert "pydantic" not in modules and "_imaging" in modules
    finally:
        one.close()


def test_what_takes_too_long_to_compute_is_refused_and_its_decoder_is_gone(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "CPU_MOST", 0.1)
    with pytest.raises(CostlyPicture, match="of computing to decode"):
        decoder.decode(SLOW)
    assert not decoder.alive and not Path(f"/proc/{decoder.pid}").exists()


def test_a_decoder_that_gets_no_time_is_late_and_the_picture_is_not_to_blame(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder.decode(SMALL)
    monkeypatch.setattr(process, "WALL_MOST", 0.3)
    os.kill(decoder.pid, signal.SIGSTOP)
    with pytest.raises(DecoderLost, match="late") as lost:
        decoder.decode(SMALL)
    assert not lost.value.own_doing and not decoder.alive


@pytest.mark.parametrize(
    ("number", "own_doing"), [(signal.SIGKILL, False), (signal.SIGSEGV, True), (signal.SIGABRT, True)]
)
def test_a_decoder_that_is_killed_is_lost_and_its_signal_tells_by_whom(
    decoder: Decoder, number: signal.Signals, own_doing: bool
) -> None:
    decoder.decode(SMALL)
    end_soon(decoder.pid, number)
    with pytest.raises(DecoderLost, match=f"signal {number.value}") as lost:
        decoder.decode(SMALL)
    assert lost.value.own_doing == own_doing


SAID = {
    "another kind": HEAD.pack(b"?", 0, 0, 0),
    "a picture too wide": HEAD.pack(b"D", 1 << 31, 48, 3) + b"\xff\xd8\xff",
    "no width": HEAD.pack(b"D", 0, 48, 3) + b"\xff\xd8\xff",
    "a thumbnail that is none": HEAD.pack(b"D", 64, 48, 4) + b"<svg",
    "a thumbnail of 4 GB": HEAD.pack(b"D", 64, 48, (1 << 32) - 1),
    "words of 4 GB": HEAD.pack(b"B", 0, 0, (1 << 32) - 1),
    "half a head": HEAD.pack(b"D", 64, 48, 3)[:5],
    "nothing": b"",
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_what_a_decoder_says_is_held_to_bounds(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    talks = f"import os; os.read(0, 4); os.write(0, {said!r})"
    monkeypatch.setattr(process, "_PROGRAM", (sys.executable, "-I", "-S", "-c", talks))
    one = Decoder(1 << 20)
    with pytest.raises(DecoderLost):
        one.decode(SMALL)
    assert not one.alive


def test_a_decoder_that_says_one_byte_after_the_other_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    talks = "import os, time; os.read(0, 4)\nwhile True: os.write(0, b'D'); time.sleep(0.01)"
    monkeypatch.setattr(process, "_PROGRAM", (sys.executable, "-I", "-S", "-c", talks))
    monkeypatch.setattr(process, "WALL_MOST", 0.05)
    monkeypatch.setattr(messages, "HEAD", struct.Struct("!cIII500x"))
    one = Decoder(1 << 20)
    with pytest.raises(DecoderLost, match="late"):
        one.decode(SMALL)
    assert not one.alive


def test_the_words_of_a_decoder_are_one_plain_line(monkeypatch: pytest.MonkeyPatch) -> None:
    words = b"a\r\nSet-Cookie: b\x1b[2J\xff"
    talks = f"import os; os.read(0, 4); os.write(0, {HEAD.pack(b'B', 0, 0, len(words)) + words!r})"
    monkeypatch.setattr(process, "_PROGRAM", (sys.executable, "-I", "-S", "-c", talks))
    one = Decoder(1 << 20)
    with pytest.raises(BrokenPicture) as broken:
        one.decode(SMALL)
    one.close()
    assert str(broken.value).isprintable() and str(broken.value).startswith("a??Set-Cookie: b?[2J")


def test_a_decoder_ends_with_its_parent_whatever_it_does(tmp_path: Path) -> None:
    (tmp_path / "slow.jpg").write_bytes(SLOW)
    text = (
        "import sys; from visant_cloud.captures.decoding.process import Decoder; one = Decoder(1 << 20);"
        "one._socket.sendall(len(data := open(sys.argv[1], 'rb').read()).to_bytes(4, 'big') + data);"
        "print(one.pid, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", text, str(tmp_path / "slow.jpg")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = Path("/proc") / parent.stdout.readline().decode().strip()
        while "Max file size             0 " not in (child / "limits").read_text():
            time.sleep(0.01)  # until it has said that it wants to end with its parent
        parent.kill()
    until = time.monotonic() + 30
    while child.exists() and "\nState:\tZ" not in (child / "status").read_text():
        assert time.monotonic() < until
        time.sleep(0.01)


def told(metric: str) -> float:
    """As Prometheus reads it."""
    value = REGISTRY.get_sample_value(metric)
    assert value is not None
    return value


class Held:
    """A picture whose decoding does not go on before it is told to."""

    def __init__(self, pool: DecoderPool, device_key: str) -> None:
        self._go = threading.Event()
        self.task: asyncio.Task[Picture] = asyncio.create_task(pool.decode(device_key, self._sent))

    def _sent(self) -> Sent:
        self._go.wait(60)
        return sent(SMALL)()

    async def end(self) -> Picture:
        self._go.set()
        return await self.task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_device_never_holds_more_than_its_part_and_others_pass(pool: DecoderPool) -> None:
    held = [Held(pool, "BAD") for _ in range(3)]
    await until(lambda: pool.waiting == 2)
    assert pool.running == 1 and told("visant_pictures_decoding") == 3
    for _ in range(3):
        assert (await pool.decode("GOOD", sent(SMALL))).width == 64
    assert (pool.running, pool.waiting) == (1, 2)
    for one in held:
        await one.end()
    assert (pool.running, pool.waiting, pool.decoded) == (0, 0, 6)
    assert told("visant_pictures_decoding") == 0


async def test_those_that_wait_have_their_turns_device_by_device(pool: DecoderPool) -> None:
    holding = [Held(pool, name) for name in ("X", "Y")]
    await until(lambda: pool.running == 2)
    order: list[str] = []

    async def one(name: str) -> None:
        await pool.decode(name, lambda: order.append(name) or sent(SMALL)())  # type: ignore[func-returns-value]

    waiting = [asyncio.create_task(one(name)) for name in ("A", "A", "A", "B", "C")]
    await until(lambda: pool.waiting == 5)
    await holding[0].end()
    await asyncio.gather(*waiting)
    assert order == ["A", "B", "C", "A", "A"]
    await holding[1].end()


async def test_no_room_is_said_at_once_or_after_a_while_and_blames_no_picture(
    pool: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "WAITING_OF_A_DEVICE", 1)
    monkeypatch.setattr(pools, "WAITING_MOST", 2)
    held = [Held(pool, "A"), Held(pool, "B"), Held(pool, "A"), Held(pool, "C")]
    await until(lambda: pool.waiting == 2)
    with pytest.raises(DecodersBusy, match="of this device"):
        await pool.decode("A", sent(SMALL))
    with pytest.raises(DecodersBusy, match="2 pictures wait"):
        await pool.decode("D", sent(SMALL))
    for one in held:
        await one.end()
    monkeypatch.setattr(pools, "WAIT_MOST", 0.05)
    held = [Held(pool, "A"), Held(pool, "B")]
    await until(lambda: pool.running == 2)
    with pytest.raises(DecodersBusy, match="no decoder was free"):
        await pool.decode("D", sent(SMALL))
    assert pool.waiting == 0
    for one in held:
        await one.end()
    assert (await pool.decode("D", sent(SMALL))).height == 48


async def test_a_picture_that_is_given_up_ends_its_decoder_and_holds_no_place(pool: DecoderPool) -> None:
    await pool.decode("A", sent(SMALL))
    (first,) = pool._decoders
    slow = asyncio.create_task(pool.decode("A", sent(SLOW)))
    waits = asyncio.create_task(pool.decode("A", sent(SMALL)))
    await until(lambda: pool.running == 1 and pool.waiting == 1)
    await asyncio.sleep(0)
    slow.cancel()
    assert (await waits).width == 64
    assert not first.alive and slow.cancelled()
    assert pool.running == 0 and len(pool._decoders) == 1


async def kill(pool: DecoderPool, number: signal.Signals, jpeg: bytes) -> Exception:
    """What is said of a picture whose decoder ends by this signal while it is read."""
    await pool.decode("WARM", sent(drawn(1)))
    (one,) = pool._decoders

    def dying() -> Sent:
        end_soon(one.pid, number)
        return sent(jpeg)()

    with pytest.raises((DecoderFailed, BrokenPicture)) as raised:
        await pool.decode("A", dying)
    return raised.value


async def test_a_picture_whose_decoder_is_killed_from_outside_is_never_refused_and_comes_ever_later(
    pool: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "_LATER_MOST", 35)
    after = []
    for _ in range(4):
        failed = await kill(pool, signal.SIGKILL, SMALL)
        assert isinstance(failed, DecoderFailed)
        after.append(failed.retry_after)
    assert after == [10, 20, 35, 35]
    assert (await pool.decode("A", sent(SMALL))).width == 64
    assert isinstance(again := await kill(pool, signal.SIGKILL, SMALL), DecoderFailed) and again.retry_after == 10


async def test_a_picture_over_which_decoders_break_is_refused_once_others_were_decoded_between(
    pool: DecoderPool,
) -> None:
    before = told("visant_decoders_lost_total")
    said = [await kill(pool, signal.SIGSEGV, SMALL) for _ in range(3)]
    assert [type(one) for one in said] == [DecoderFailed, DecoderFailed, BrokenPicture]
    assert pool.lost == told("visant_decoders_lost_total") - before == 3


async def test_where_decoders_break_over_everything_no_picture_is_refused(
    pool: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks = "import os; os.read(0, 4); os.abort()"
    monkeypatch.setattr(process, "_PROGRAM", (sys.executable, "-I", "-S", "-c", breaks))
    for _ in range(5):
        with pytest.raises(DecoderFailed, match="signal 6"):
            await pool.decode("A", sent(SMALL))


async def test_a_decoder_that_cannot_be_started_blames_no_picture_and_keeps_no_place(
    pool: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(process, "_PROGRAM", ("/nowhere/python",))
        with pytest.raises(DecodersBusy, match="can be started"):
            await pool.decode("A", sent(SMALL))
    assert pool.running == 0
    assert (await pool.decode("A", sent(SMALL))).width == 64


async def test_a_decoder_that_died_while_it_was_idle_costs_nobody_a_picture(pool: DecoderPool) -> None:
    await pool.decode("A", sent(SMALL))
    (one,) = pool._decoders
    os.kill(one.pid, signal.SIGKILL)
    await until(lambda: not one.alive)
    assert (await pool.decode("A", sent(SMALL))).width == 64
    assert len(pool._decoders) == 1


async def test_closed_it_ends_every_decoder_at_once_and_whoever_waits(pool: DecoderPool) -> None:
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(pool.decode(name, sent(SLOW))) for name in "AABB"]
    await until(lambda: pool.running == 2 and len(pool._decoders) == 2)
    decoders = set(pool._decoders)
    pool.close()
    said = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(one) for one in said} == {DecodersBusy}
    assert not any(one.alive for one in decoders)
    with pytest.raises(DecodersBusy):
        await pool.decode("A", sent(SMALL))
