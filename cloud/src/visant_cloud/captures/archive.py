"""Pictures as one ZIP file, made while it is sent: nothing is kept, neither in memory nor on the disk.

Stored and not deflated: a JPEG does not become smaller. The last entry, `manifest.json`, names each picture with its
hash, and those that could not be had: a download that was cut off has none, which unzip says as well.
"""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from visant_cloud.captures.storage import PictureName, PictureStorage
from visant_cloud.store.captures import Capture
from visant_cloud.times import time

MANIFEST = "manifest.json"
_FIRST = datetime(1980, 1, 1, tzinfo=UTC)
"""No entry of a ZIP file is older (APPNOTE.TXT, 4.4.6); its times have no zone, these are UTC."""


class _Sink(io.RawIOBase):
    """What ZipFile writes, until it is taken. It cannot be gone back in, so sizes and sums follow each entry."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def file_name(row: Capture) -> str:
    """`<device>/<day>/<time>_<record>.jpg`: in the order of time, and no two the same."""
    taken = row.captured_at.astimezone(UTC)
    return f"{row.device_id}/{taken:%Y-%m-%d}/{taken:%H%M%S}_{row.record_id[:8]}.jpg"


async def zipped(rows: AsyncIterator[Capture], storage: PictureStorage) -> AsyncIterator[bytes]:
    """The ZIP file's bytes, a piece at a time. Raises StorageAway where the storage leaves in the middle."""
    sink, listed = _Sink(), []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        async for row in rows:
            found = await storage.open(PictureName(row.device_key, row.received_at, row.record_id).picture)
            name = file_name(row)
            listed.append(
                {
                    "file": None if found is None else name,
                    "record_id": row.record_id,
                    "device_id": row.device_id,
                    "trigger_id": row.trigger_id,
                    "captured_at": time(row.captured_at),
                    "sha256": row.sha256,
                    "bytes": row.bytes,
                    "state": row.state,
                }
            )
            if found is None:
                continue
            moment = max(row.captured_at.astimezone(UTC), _FIRST).timetuple()[:6]
            entry = zipfile.ZipInfo(name, moment)
            entry.file_size = found.size  # at most; whether it is a ZIP64 entry is said before its bytes
            with archive.open(entry, "w") as file:
                async for chunk in found.chunks:
                    file.write(chunk)
                    yield sink.take()
        archive.writestr(MANIFEST, json.dumps({"pictures": listed}, indent=1))
    yield sink.take()
