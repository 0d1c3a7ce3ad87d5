"""Another wall clock for the device's processes, by Debian's libfaketime; the machine's own is never touched.

CLOCK_MONOTONIC and CLOCK_BOOTTIME stay true, as they do on a real machine whose clock is set.
"""

import glob
import os
from pathlib import Path

from emulation.processes import Child
from tests.faults.scenario import Skipped

_LIBRARY = "/usr/lib/*/faketime/libfaketime.so.1"


def find_libfaketime() -> Path:
    """Where Debian's package puts it. Raises Skipped with the remedy."""
    found = glob.glob(_LIBRARY)
    if not found:
        raise Skipped("no libfaketime: apt-get install libfaketime")
    return Path(found[0])


_LEFT_TO_LIBC = ("clock_nanosleep", "pthread_cond_init", "pthread_cond_destroy", "pthread_cond_timedwait")


def trimmed(library: Path, copy: Path) -> Path:
    """A copy of the library that leaves waiting to libc.

    libfaketime 0.9.10 mistakes CLOCK_MONOTONIC deadlines for wall-clock ones: time.sleep of Python 3.11 then ends with
    EINVAL after a jump back, and threads hand Python's interpreter lock over late (a snapshot of the fake camera took
    seconds instead of 60 ms). Renaming the exports in the table of dynamic symbols (their first letter only: another
    name may share the rest of the string) takes them out of the way.
    """
    content = bytearray(library.read_bytes())
    for name in _LEFT_TO_LIBC:
        at = content.find(f"\0{name}\0".encode())
        if at < 0:
            raise Skipped(f"{library} has no {name} to take out: another version than 0.9.10?")
        content[at + 1 : at + 2] = b"X"
    copy.write_bytes(content)
    return copy


class FakeClock:
    """One wall clock for several children; true until `jump`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "offset"
        self._library = trimmed(find_libfaketime(), folder / "libfaketime.so.1")
        self.jump("+0")

    def wear(self, child: Child) -> None:
        """`child` sees this clock from its next start on."""
        child.env |= {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def jump(self, offset: str) -> None:
        """From now on the clock is `offset` away from the true time: `-1d`, `+1d`, `+0`."""
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{offset}\n")
        os.replace(draft, self._file)
