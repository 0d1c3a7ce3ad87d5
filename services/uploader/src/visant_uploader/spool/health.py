"""The spool in figures, for telemetry and `visant-uploader spool ls`. Blocking."""

from datetime import UTC, datetime
from pathlib import Path

from visant_contract.telemetry import SpoolHealth
from visant_uploader.spool.contents import Contents
from visant_uploader.spool.fill_rate import days_left
from visant_uploader.spool.layout import outcome_files


def spool_health(
    contents: Contents,
    own_place: Path | None,
    *,
    limit_bytes: int,
    min_free_bytes: int,
    free_bytes: int,
    bytes_a_day: float | None,
) -> SpoolHealth:
    """`own_place`: the outbox folder of the cloud in force; the others' files are held."""
    own = contents.outbox.get(own_place.name) if own_place is not None else None
    used = contents.picture_bytes()
    waiting = [contents.unacknowledged] + ([own] if own is not None else [])
    held = [waiting for place, waiting in contents.outbox.items() if own_place is None or place != own_place.name]
    room = min(limit_bytes - used, free_bytes - min_free_bytes)
    return SpoolHealth(
        pictures=sum(one.pictures for one in waiting),
        reports=sum(one.reports for one in waiting),
        bytes=used,
        limit_bytes=limit_bytes,
        oldest_age=None if own_place is None else oldest_age(own_place),
        held=sum(one.pictures + one.reports for one in held),
        dead_letter=contents.dead_letter.pictures + contents.dead_letter.reports,
        quarantine=contents.quarantine.pictures + contents.quarantine.reports,
        days_left=days_left(room, bytes_a_day),
    )


def oldest_age(place: Path) -> float | None:
    """Seconds by the wall clock since the oldest file here was written."""
    oldest = None
    try:
        for entry in outcome_files(place):
            try:
                written = entry.stat().st_mtime
            except FileNotFoundError:
                continue
            oldest = written if oldest is None else min(oldest, written)
    except FileNotFoundError:
        return None
    return None if oldest is None else max(0.0, datetime.now(UTC).timestamp() - oldest)
