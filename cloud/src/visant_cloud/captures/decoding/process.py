"""One decoder as the cloud holds it: a process that is asked, watched and killed. Blocking.

What it says is held to bounds, for whoever made the picture may speak through it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

from visant_cloud.captures.decoding import messages
from visant_cloud.captures.picture import BrokenPicture, CostlyPicture, NotAPicture
from visant_cloud.quality.block import SIZE as FIGURES
from visant_cloud.quality.block import Figures, unpack

CPU_MOST = 10.0
"""Seconds of computing for one picture: 1,000 times what one of 1920x1080 takes. The structure bounds it to about a
tenth of that before (decode.py), so that no slow machine refuses what a fast one takes."""
WALL_MOST = 20.0
"""Seconds until an answer. Less than the 30 in which a device gives an upload up."""
_LOOK_EVERY = 0.1
_PROGRAM = (sys.executable, "-P", "-s", "-m", __package__)
_HANDED_ON = frozenset({"PATH", "LANG", "LC_ALL", "PYTHONPATH", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE"})
"""All that a decoder sees of this process's environment: there are keys and passwords in it."""
_SMALL = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "1048576"}
"""What one large picture took goes back to the kernel after it."""
_OWN_DOING = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS})


class DecoderLost(Exception):
    """No answer: it was killed, died or was late. Whose doing it is nobody knows; the picture was not refused."""

    def __init__(self, why: str, *, own_doing: bool = False) -> None:
        super().__init__(why)
        self.own_doing = own_doing
        """It broke by itself over this picture, which may be the picture's doing."""
        self.sha256 = ""
        """The picture's, in hexadecimal."""


class Decoder:
    """Starts a process. One picture at a time; `kill` may come from any thread."""

    def __init__(self, most_bytes: int) -> None:
        ours, its = socket.socketpair()
        with its:
            try:
                self._process: subprocess.Popen[bytes] = subprocess.Popen(
                    [*_PROGRAM, str(int(CPU_MOST)), str(most_bytes)],
                    stdin=its.fileno(),
                    stdout=subprocess.DEVNULL,
                    env={key: value for key, value in os.environ.items() if key in _HANDED_ON} | _SMALL,
                )
            except OSError:
                ours.close()
                raise
        self._socket = ours
        self.pid = self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can take a picture."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Ends it, whatever it does."""
        with suppress(OSError):
            self._process.kill()

    def close(self) -> int:
        """The same, and takes its status: as `Popen.returncode`."""
        self.kill()
        self._socket.close()
        return self._process.wait()

    def decode(self, jpeg: bytes) -> tuple[int, int, Figures, bytes]:
        """(width, height, figures, thumbnail). Raises NotAPicture, BrokenPicture, CostlyPicture, DecoderLost."""
        began, until = self._cpu_seconds(), time.monotonic() + WALL_MOST
        try:
            self._socket.settimeout(WALL_MOST)
            self._socket.sendall(messages.LENGTH.pack(len(jpeg)))
            self._socket.sendall(jpeg)
            kind, width, height, length = messages.HEAD.unpack(self._received(messages.HEAD.size, began, until))
            if length > (messages.THUMBNAIL_MOST if kind == messages.DECODED else messages.WORDS_MOST):
                raise self._lost("it said too much")
            block = self._received(FIGURES if kind == messages.DECODED else 0, began, until)
            rest = self._received(length, began, until)
        except TimeoutError:
            raise self._lost("it was late") from None
        except OSError:
            raise self._lost("it ended") from None
        if kind == messages.DECODED:
            sane = 0 < width <= messages.SIDE_MOST and 0 < height <= messages.SIDE_MOST
            if not sane or not rest.startswith(b"\xff\xd8\xff"):
                raise self._lost("it said nonsense")
            try:
                figures = unpack(block)
            except ValueError:
                raise self._lost("it said nonsense") from None
            return width, height, figures, rest
        words = rest.decode("ascii", errors="replace")
        words = "".join(one if one.isprintable() else "?" for one in words)
        if kind == messages.NOT_A_JPEG:
            raise NotAPicture(words)
        if kind == messages.BROKEN:
            raise BrokenPicture(words)
        if kind == messages.COSTLY:
            raise CostlyPicture(words)
        raise self._lost("its memory ran out" if kind == messages.NO_MEMORY else "it said nonsense", own_doing=True)

    def _received(self, length: int, began: float, until: float) -> bytes:
        """So many bytes. Looks, while it waits, at what the picture costs."""
        data = bytearray()
        self._socket.settimeout(_LOOK_EVERY)
        while len(data) < length:
            if time.monotonic() > until:
                raise TimeoutError
            try:
                part = self._socket.recv(length - len(data))
            except TimeoutError:
                if self._cpu_seconds() - began > CPU_MOST:
                    self.close()
                    raise _costly() from None
                continue
            if not part:
                raise ConnectionResetError
            data += part
        return bytes(data)

    def _lost(self, why: str, *, own_doing: bool = False) -> DecoderLost | CostlyPicture:
        """Nothing more is asked of it. One that ends by itself just now keeps its own status."""
        status = self.close()
        if status == -signal.SIGXCPU:
            return _costly()
        words = f"{why} ({f'signal {-status}' if status < 0 else f'status {status}'})"
        return DecoderLost(words, own_doing=own_doing or -status in _OWN_DOING)

    def _cpu_seconds(self) -> float:
        """What it computed so far, by the kernel's clock of it (clock_getcpuclockid(3)), whatever it says itself.

        Where a kernel does not tell, 0: the decoder's own limit and the wall clock hold.
        """
        try:
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:
            return 0.0


def _costly() -> CostlyPicture:
    return CostlyPicture(f"the JPEG takes more than {CPU_MOST:.0f} s of computing to decode: send a baseline JPEG")
