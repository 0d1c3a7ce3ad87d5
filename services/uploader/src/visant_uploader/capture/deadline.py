"""May this command be executed now? Pure: time and what is known come in, a decision goes out.

Lateness is counted on CLOCK_BOOTTIME: the wall clock of a Pi may be a day wrong. A deadline of an earlier boot
says nothing in this one, so such an entry waits for its cloud to say it again, which renews the deadline.
"""

from dataclasses import dataclass
from datetime import timedelta

from visant_contract.outcome import Reason
from visant_contract.stream import REPLAY_WITHIN, CommandEntry, Deadline
from visant_runtime.clock import Moment

REPLAY_WAIT_FLAPPING = 60.0
"""Seconds after the first `connected` of this boot, for streams that never stay and replays that never end."""


@dataclass(frozen=True)
class Execute:
    """Yes, until this second of CLOCK_BOOTTIME."""

    until: float


@dataclass(frozen=True)
class Park:
    """Not yet: it is of an earlier boot, and its cloud may still renew it."""


@dataclass(frozen=True)
class Expire:
    """No, and never more."""

    reason: Reason
    detail: str


Decision = Execute | Park | Expire


def check_deadline(
    entry: CommandEntry,
    renewed: Deadline | None,
    now: Moment,
    *,
    latest_connected: float | None,
    first_connected: float | None,
    ttl: float,
) -> Decision:
    """The decision on `entry`.

    `renewed`: the deadline that a replay left, if any. `latest_connected`: CLOCK_BOOTTIME since when a replay runs
    or has nothing more to renew, None where none does; `first_connected`: of the oldest confirmed stream of this
    boot. `ttl`: seconds that a command of a plain cloud stays valid.
    """
    if entry.trigger_id is None:  # settings: what is wanted is wanted however late, until newer ones come
        return Execute(now.boottime + ttl)
    deadline = renewed if renewed is not None and renewed.boot_id == now.boot_id else entry.deadline
    if deadline.boot_id == now.boot_id:
        if now.boottime < deadline.boottime:
            return Execute(deadline.boottime)
        late = now.boottime - deadline.boottime
        return Expire(Reason.DEADLINE_PASSED, f"{late:.1f} s after the deadline")
    if entry.plain and entry.admitted_synchronised and now.synchronised:
        age = (now.wall - entry.admitted_wall).total_seconds()
        allowed = ttl
        if entry.expires_at is not None:
            allowed = min(ttl, (entry.expires_at - entry.admitted_wall) / timedelta(seconds=1))
        if age >= 0:  # a negative age disproves one of the two clocks
            if age < allowed:
                return Execute(now.boottime + allowed - age)
            return Expire(Reason.REBOOTED, f"{age:.0f} s old after a restart, valid for {allowed:.0f} s")
    if _replayed(now, latest_connected, first_connected):
        return Expire(Reason.REBOOTED, "not asked for again by the cloud after the device's restart")
    return Park()


def _replayed(now: Moment, latest: float | None, first: float | None) -> bool:
    if latest is not None and now.boottime - latest >= REPLAY_WITHIN:
        return True
    return first is not None and now.boottime - first >= REPLAY_WAIT_FLAPPING
