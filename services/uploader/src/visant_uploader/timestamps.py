"""When was it? The Pi's wall clock may be wrong, so each outcome remembers what was known. Pure.

CLOCK_BOOTTIME of the exposure plus the cloud's offset gives the cloud's time; without one, a wall clock that was
set later in the same boot gives it; without that, the wall clock as it stood, with its uncertainty unknown.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from visant_contract.capture import CaptureTime
from visant_runtime.clock import Moment

CLOUD_UNCERTAINTY = 1.0
"""Seconds: the offset is short by the least delay of a message seen, well below a second on a working uplink."""
SET_UNCERTAINTY = 1.0
"""Seconds: a clock that the kernel calls synchronised is far better; a step of it while we look is not."""
AGREE = 2.0
"""Seconds by which a synchronised wall clock may differ from the cloud's and still be kept: it is the finer one."""


@dataclass(frozen=True)
class Offset:
    """Cloud's epoch seconds minus CLOCK_BOOTTIME, in one boot."""

    boot_id: str
    seconds: float


def at_exposure(boottime: float, now: Moment) -> CaptureTime:
    """What the clocks said at `boottime`, a moment ago in this boot."""
    return CaptureTime(
        boot_id=now.boot_id,
        boottime=boottime,
        wall=now.wall - timedelta(seconds=now.boottime - boottime),
        synchronised=now.synchronised,
        uncertainty=SET_UNCERTAINTY if now.synchronised else None,
    )


def best(time: CaptureTime, offset: Offset | None, now: Moment) -> tuple[datetime, CaptureTime]:
    """(the best estimate in UTC, `time` with `corrected` and `uncertainty` set to match)."""
    if offset is not None and offset.boot_id == time.boot_id:
        cloud = _utc(offset.seconds + time.boottime)
        if cloud is not None and (not time.synchronised or abs((cloud - time.wall).total_seconds()) > AGREE):
            return cloud, time.model_copy(update={"corrected": True, "uncertainty": CLOUD_UNCERTAINTY})
    elif not time.synchronised and now.synchronised and now.boot_id == time.boot_id:
        wall = now.wall - timedelta(seconds=now.boottime - time.boottime)
        return wall, time.model_copy(update={"corrected": True, "uncertainty": SET_UNCERTAINTY})
    return time.wall, time.model_copy(
        update={"corrected": False, "uncertainty": SET_UNCERTAINTY if time.synchronised else None}
    )


def _utc(epoch: float) -> datetime | None:
    """None outside of the years 1 to 9999: the cloud's clock is nonsense."""
    try:
        return datetime.fromtimestamp(epoch, UTC)
    except (ValueError, OverflowError, OSError):
        return None
