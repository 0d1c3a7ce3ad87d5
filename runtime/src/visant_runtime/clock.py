"""The clocks of a machine, behind one small object that tests replace.

CLOCK_BOOTTIME counts seconds since boot, suspend included, and nobody can set it; it is the same in every
container of a host. The wall clock may be a year wrong on a machine without a battery.
"""

import ctypes
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STA_UNSYNC = 0x0040  # <sys/timex.h>
_TIME_ERROR = 5
_TIMEX_BYTES = 512  # struct timex is 208 bytes on 64-bit Linux; `modes` is its first, `status` its sixth member
_STATUS_OFFSET = 40


@dataclass(frozen=True)
class Moment:
    """One instant by the clocks of this machine."""

    boot_id: str
    boottime: float
    """CLOCK_BOOTTIME, seconds; means something within this boot only."""
    wall: datetime
    """UTC; may be wrong."""
    synchronised: bool
    """Whether the kernel called the wall clock synchronised."""


class Clock:
    """The real clocks."""

    def boottime(self) -> float:
        """Seconds since boot (CLOCK_BOOTTIME)."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        """The kernel's random id of this boot."""
        return _BOOT_ID.read_text().strip()

    def wall(self) -> datetime:
        """The wall clock, UTC; may be wrong."""
        return datetime.now(UTC)

    def synchronised(self) -> bool:
        """Whether the kernel calls the wall clock synchronised (adjtimex, readable without privileges)."""
        buffer = (ctypes.c_uint8 * _TIMEX_BYTES)()
        libc = ctypes.CDLL(None, use_errno=True)
        state = libc.adjtimex(ctypes.byref(buffer))
        status = int.from_bytes(bytes(buffer[_STATUS_OFFSET : _STATUS_OFFSET + 4]), "little")
        return state not in (-1, _TIME_ERROR) and not status & _STA_UNSYNC
