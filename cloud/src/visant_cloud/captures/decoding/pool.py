"""The decoders of one process of the cloud: a few, started as pictures come, and each device has a share of them.

A picture is refused only for what it alone costs. No room, a decoder that was killed and one that is late mean "later".
"""

import asyncio
import os
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import structlog

from visant_cloud.captures.decoding.process import Decoder, DecoderLost
from visant_cloud.captures.picture import BrokenPicture, Picture
from visant_cloud.metrics import DECODERS_LOST, DECODING

log = structlog.get_logger()

Sent = tuple[bytes, str]
"""A picture as it came, and its SHA-256 in hexadecimal."""

WAITING_MOST = 256
"""Pictures that wait for a decoder, each of them in memory: a fleet that comes back at once is decoded in seconds."""
WAITING_OF_A_DEVICE = 16
"""A device sends two at a time, and the same ones again where its connection broke off."""
WAIT_MOST = 8.0
"""Seconds that a picture waits for a decoder; with the time of decoding less than a device waits for its answer."""
_TROUBLES_KEPT = 1000
_OWN_DOING_MOST = 3
"""Decoders that may break over one picture, each time with others decoded since, until it counts as the picture's."""
_LATER_MOST = 300
_ENDING = "the cloud restarts"


class DecodersBusy(Exception):
    """No decoder is free for this picture; the text says why, in one line. Later."""


class DecoderFailed(Exception):
    """The decoder was lost; the picture was not refused. `retry_after` in seconds, more each time it happens to it."""

    def __init__(self, why: str, retry_after: int) -> None:
        super().__init__(why)
        self.retry_after = retry_after


@dataclass
class _Trouble:
    """What happened to decoders of one picture."""

    times: int = 0
    own_doing: int = 0
    decoded_before: int = -1
    """Pictures that this pool had decoded when it happened last."""


class DecoderPool:
    """One per process. Nothing is started before the first picture. `size`: decoders at most; default by the CPUs.

    `most_bytes`: of a picture.
    """

    def __init__(self, most_bytes: int, size: int | None = None) -> None:
        self.size = min(4, max(2, len(os.sched_getaffinity(0)))) if size is None else size
        self._share = max(1, self.size // 2)
        self._most_bytes = most_bytes
        self._threads = ThreadPoolExecutor(self.size, "decoder")
        self._decoders: set[Decoder] = set()
        self._idle: list[Decoder] = []
        self._running: Counter[str] = Counter()
        """device_key -> pictures that are being decoded."""
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        """device_key -> turns, the next device first."""
        self._troubles: OrderedDict[str, _Trouble] = OrderedDict()
        """SHA-256 of a picture -> what happened."""
        self.closed = False
        """Nothing is decoded any more."""
        self.decoded = 0
        """Pictures decoded so far."""
        self.lost = 0
        """Decoders that were killed, died or were late so far."""

    @property
    def running(self) -> int:
        """Pictures that are being decoded now."""
        return self._running.total()

    @property
    def waiting(self) -> int:
        """Pictures that wait for a decoder now."""
        return sum(map(len, self._waiting.values()))

    async def decode(self, device_key: str, sent: Callable[[], Sent]) -> Picture:
        """The picture. `sent` is called in a thread, and what it raises is raised.

        Raises NotAPicture, BrokenPicture and CostlyPicture for what the picture is, DecodersBusy and DecoderFailed for
        what it has no part in. Cancelled, it ends the decoder.
        """
        with DECODING.track_inprogress():
            return await self._decode(device_key, sent)

    async def _decode(self, device_key: str, sent: Callable[[], Sent]) -> Picture:
        await self._turn(device_key)
        try:
            decoder = self._free_decoder()
        except BaseException as error:
            self._leave(device_key)
            if isinstance(error, OSError):
                log.error("no decoder can be started", error=str(error))
                raise DecodersBusy("no decoder can be started just now") from None
            raise
        work = asyncio.get_running_loop().run_in_executor(self._threads, _work, decoder, sent)
        work.add_done_callback(partial(self._ended, device_key, decoder))
        try:
            picture = await asyncio.shield(work)
        except asyncio.CancelledError:
            decoder.kill()
            raise
        except DecoderLost as lost:
            raise (DecodersBusy(_ENDING) if self.closed else self._trouble(lost)) from None
        self.decoded += 1
        self._troubles.pop(picture.sha256, None)
        return picture

    def close(self) -> None:
        """Ends every decoder, whatever it does. Pictures that wait or are decoded raise DecodersBusy."""
        self.closed = True
        for turns in self._waiting.values():
            for turn in turns:
                turn.cancel()
        for decoder in self._decoders:
            decoder.kill()
        for decoder in self._idle:
            decoder.close()
        self._threads.shutdown(wait=False)

    def _trouble(self, lost: DecoderLost) -> Exception:
        """What to say of a picture whose decoder was lost."""
        self.lost += 1
        DECODERS_LOST.inc()
        trouble = self._troubles.pop(lost.sha256, None) or _Trouble()
        self._troubles[lost.sha256] = trouble
        while len(self._troubles) > _TROUBLES_KEPT:
            self._troubles.popitem(last=False)
        trouble.times += 1
        if lost.own_doing and self.decoded > trouble.decoded_before:
            trouble.own_doing += 1
        trouble.decoded_before = self.decoded
        log.error("a decoder was lost", why=str(lost), sha256=lost.sha256, times=trouble.times)
        if trouble.own_doing >= _OWN_DOING_MOST:
            return BrokenPicture(f"decoders broke over the JPEG {trouble.own_doing} times and over no other meanwhile")
        return DecoderFailed(str(lost), min(_LATER_MOST, 10 * 2 ** min(trouble.times - 1, 10)))

    def _free_decoder(self) -> Decoder:
        if self.closed:
            raise DecodersBusy(_ENDING)
        while self._idle:
            decoder = self._idle.pop()
            if decoder.alive:
                return decoder
            self._forget(decoder)
        decoder = Decoder(self._most_bytes)
        self._decoders.add(decoder)
        return decoder

    def _ended(self, device_key: str, decoder: Decoder, work: "asyncio.Future[Picture]") -> None:
        if not work.cancelled():
            work.exception()  # who was cancelled asks no more
        if decoder.alive and not self.closed:
            self._idle.append(decoder)
        else:
            self._forget(decoder)
        self._leave(device_key)

    def _forget(self, decoder: Decoder) -> None:
        self._decoders.discard(decoder)
        decoder.close()

    async def _turn(self, device_key: str) -> None:
        """Waits until a decoder may be used for this device; `_leave` must follow. Raises DecodersBusy."""
        if self.closed:
            raise DecodersBusy(_ENDING)
        if device_key not in self._waiting and self._may_begin(device_key):
            self._running[device_key] += 1
            return
        if len(self._waiting.get(device_key, ())) >= WAITING_OF_A_DEVICE:
            raise DecodersBusy(f"{WAITING_OF_A_DEVICE} pictures of this device wait to be decoded already")
        if self.waiting >= WAITING_MOST:
            raise DecodersBusy(f"{WAITING_MOST} pictures wait to be decoded already")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(device_key, deque()).append(turn)
        try:
            async with asyncio.timeout(WAIT_MOST):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._leave(device_key)  # it came at the same moment
            else:
                self._give_up(device_key, turn)
            if isinstance(error, TimeoutError):
                raise DecodersBusy(f"no decoder was free within {WAIT_MOST:.0f} s") from None
            if self.closed:
                raise DecodersBusy(_ENDING) from None
            raise

    def _may_begin(self, device_key: str) -> bool:
        return self.running < self.size and self._running[device_key] < self._share

    def _give_up(self, device_key: str, turn: "asyncio.Future[None]") -> None:
        turns = self._waiting.get(device_key, deque())
        if turn in turns:
            turns.remove(turn)
        if not turns:
            self._waiting.pop(device_key, None)

    def _leave(self, device_key: str) -> None:
        """A decoder is free: the device that waits longest for its next turn, and holds less than its share, has it."""
        self._running[device_key] -= 1
        if not self._running[device_key]:
            del self._running[device_key]
        for key in [key for key in self._waiting if self._may_begin(key)]:
            turns = self._waiting[key]
            turn = next((one for one in turns if not one.done()), None)
            if turn is None or not self._may_begin(key):
                continue
            self._give_up(key, turn)
            if key in self._waiting:
                self._waiting.move_to_end(key)
            self._running[key] += 1
            turn.set_result(None)


def _work(decoder: Decoder, sent: Callable[[], Sent]) -> Picture:
    jpeg, sha256 = sent()
    try:
        width, height, figures, thumbnail = decoder.decode(jpeg)
    except DecoderLost as lost:
        lost.sha256 = sha256
        raise
    return Picture(jpeg, width, height, sha256, thumbnail, figures)
