"""How long a request may take: what counts is silence, not how slow the uplink is."""

import asyncio
from collections.abc import AsyncIterator

from visant_runtime.device.cloud_http import CONNECT_TIMEOUT
from visant_uploader.delivery.upload_body import Body

SLOWEST = 1024.0
"""Bytes a second. An uplink that is slower yet takes a byte now and then is given up in the end."""
BEHIND_A_PROXY = 8 * 1024.0
"""Bytes a second at which a proxy that took the whole body at once may still be handing it on: so much longer than
`silence` is waited for an answer."""
UNDER_WAY = 64 * 1024
"""Bytes that count as taken and are not yet: in the kernel, in a modem, in an upload beside this one."""


class UploadLimits:
    """Of one request. `silence`: seconds in which no byte of the body may be taken; UPLOAD_TIMEOUT.

    Enter `timeout()`, send `pieces()` inside it; `expired_text()` says what was waited for in vain.
    """

    def __init__(self, body: Body, silence: float) -> None:
        self._body = body
        self._silence = silence
        self._loop = asyncio.get_running_loop()
        self.answer_wait = silence + (len(body) + UNDER_WAY) / BEHIND_A_PROXY
        self.total = CONNECT_TIMEOUT + silence + len(body) / SLOWEST + self.answer_wait
        self._end = self._loop.time() + self.total
        self._timeout: asyncio.Timeout | None = None
        self._taken = 0
        self._began_body = False
        self._all_taken = False

    def timeout(self) -> asyncio.Timeout:
        """For a place in the pool and the connection at first."""
        self._timeout = asyncio.timeout_at(min(self._end, self._loop.time() + CONNECT_TIMEOUT + self._silence))
        return self._timeout

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body. A piece that is asked for says that the one before it was taken."""
        for piece in self._body:
            self._began_body = True
            self._next(self._silence)
            yield piece
            self._taken += len(piece)
        self._all_taken = True
        self._next(self.answer_wait)

    def expired_text(self) -> str:
        """For the log."""
        if self._loop.time() >= self._end:
            return f"not done within {self.total:.0f} s: the uplink is slower than {SLOWEST:.0f} bytes a second"
        if self._all_taken:
            return f"no answer within {self.answer_wait:.0f} s"
        if self._began_body:
            return f"no byte taken for {self._silence:.0f} s, {self._taken} of {len(self._body)} bytes sent before"
        return f"no answer within {CONNECT_TIMEOUT + self._silence:.0f} s: no connection came about"

    def _next(self, seconds: float) -> None:
        assert self._timeout is not None
        self._timeout.reschedule(min(self._end, self._loop.time() + seconds))
