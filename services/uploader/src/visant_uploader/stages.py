"""When the steps of a trigger on this device were, as well as that is known when its outcome is sent. Pure.

What lies in one boot is dated together, by the offset of the exposure: between two such steps no clock can be wrong.
"""

from datetime import datetime, timedelta

from visant_contract.capture import CaptureTime
from visant_contract.stages import Stage, StageName
from visant_runtime.clock import Moment
from visant_uploader.outcomes import offset_for
from visant_uploader.spool.file_format import SpoolHeader
from visant_uploader.timestamps import Offset, at_exposure, best


def stages_of(
    header: SpoolHeader, spooled: float | None, current: Offset | None, now: Moment
) -> dict[StageName, Stage]:
    """Of an outcome that is about to be sent. `spooled`: CLOCK_BOOTTIME in this boot, None: not known any more."""
    at, time = best(header.time, offset_for(header, current), now)

    def dated(stamp: CaptureTime) -> Stage | None:
        if stamp.boot_id == time.boot_id:
            here = _later(at, stamp.boottime - time.boottime)
            return None if here is None else Stage(at=here, uncertainty=time.uncertainty, boot_id=time.boot_id)
        own = current if current is not None and current.boot_id == stamp.boot_id else None
        moment, known = best(stamp, own, now)
        return Stage(at=moment, uncertainty=known.uncertainty, boot_id=stamp.boot_id)

    stamps: dict[StageName, CaptureTime | None] = {
        "admitted": header.earlier.get("admitted"),
        "camera_asked": header.earlier.get("camera_asked"),
        "exposed": header.time if header.kind == "picture" else header.earlier.get("exposed"),
        "decided": None if header.kind == "picture" else header.time,
        "spooled": None if spooled is None else at_exposure(spooled, now),
        "upload_began": at_exposure(now.boottime, now),
    }
    told = {name: dated(stamp) for name, stamp in stamps.items() if stamp is not None}
    return {name: stage for name, stage in told.items() if stage is not None}


def _later(at: datetime, seconds: float) -> datetime | None:
    """None beyond the years 1 to 9999: a clock is nonsense."""
    try:
        return at + timedelta(seconds=seconds)
    except OverflowError:
        return None
