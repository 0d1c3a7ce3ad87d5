"""Named places at which a crash test ends this process as a power cut would.

VISANT_KILL_POINT=name ends it at the first pass, name:3 at the third; name:1:TERM asks it to end (SIGTERM) instead, and
name:1:HANG has the thread stand still, as at a disk that answers no more.
Unset, as everywhere but in tests, a kill point is one comparison.
"""

import os
import signal
import threading

_wanted, _pass, _signal = (os.environ.get("VISANT_KILL_POINT", "") + "::").split(":")[:3]
_left = int(_pass or 1) if (_pass or "1").isdigit() else 1


def kill_point(name: str) -> None:
    """What the test asked for, where it asked for `name`."""
    global _left
    if name != _wanted:
        return
    _left -= 1
    if _left == 0 and _signal == "HANG":
        threading.Event().wait()
    elif _left == 0:
        os.kill(os.getpid(), signal.SIGTERM if _signal == "TERM" else signal.SIGKILL)
