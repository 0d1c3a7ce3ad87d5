"""Pictures as files: `<root>/<device>/<year-month>/<record>.jpg`, and a thumbnail beside each.

A file is on the disk (fsync of file and folder) before its database row is written, so a row always has its
picture. A picture without a row, left by a crash in between or by a database that came back from an older backup, is
set aside into `<root>/.without-record`.
"""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from visant_cloud.captures.decode import Picture
from visant_runtime import durable
from visant_runtime.kill_point import kill_point

WITHOUT_RECORD = ".without-record"


class PictureStorage:
    """The folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def prepare(self) -> None:
        """Makes the folder; raises OSError where that cannot be."""
        self._root.mkdir(parents=True, exist_ok=True)

    def free_bytes(self) -> int:
        """What is left on the file system."""
        return shutil.disk_usage(self._root).free

    def path(self, device_key: str, received_at: datetime, record_id: str) -> Path:
        """Where a picture lies."""
        return self._root / device_key / f"{received_at:%Y-%m}" / f"{record_id}.jpg"

    def thumbnail_path(self, device_key: str, received_at: datetime, record_id: str) -> Path:
        """Where its thumbnail lies; it may be missing."""
        return self.path(device_key, received_at, record_id).with_suffix(".thumb.jpg")

    def store(self, picture: Picture, device_key: str, received_at: datetime, record_id: str) -> None:
        """Durable when it returns."""
        path = self.path(device_key, received_at, record_id)
        for folder in (path.parent.parent, path.parent):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                durable.sync_folder(folder.parent)
        self.thumbnail_path(device_key, received_at, record_id).write_bytes(picture.thumbnail)  # can be made again
        durable.write(path, [picture.jpeg], step=_kill_point)

    def remove(self, device_key: str, received_at: datetime, record_id: str) -> None:
        """Deletes picture and thumbnail; nothing happens where they are gone."""
        self.path(device_key, received_at, record_id).unlink(missing_ok=True)
        self.thumbnail_path(device_key, received_at, record_id).unlink(missing_ok=True)

    def set_aside(self, paths: Iterable[Path], before: float) -> int:
        """Sets aside those written before then (Unix time), and returns how many they were.

        A whole picture goes where a person can look at it; a draft or a thumbnail can be made again and goes.
        """
        count = 0
        folder = self._root / WITHOUT_RECORD
        for path in paths:
            with suppress(FileNotFoundError):  # another process was faster
                if path.stat().st_mtime >= before:
                    continue
                if path.name.endswith((".new", ".thumb.jpg")):
                    path.unlink()
                else:
                    folder.mkdir(exist_ok=True)
                    path.replace(folder / path.name)
                count += 1
        return count

    def folders(self) -> list[Path]:
        """One for each device and month."""
        devices = (path for path in self._root.iterdir() if path.is_dir() and path.name != WITHOUT_RECORD)
        return [month for device in devices for month in device.iterdir() if month.is_dir()]


def lost_with_the_container(data_dir: Path) -> str | None:
    """One line of warning where this runs in a container and the folder lies in no volume."""
    contained = os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv") or "DYNO" in os.environ
    if contained and os.stat(data_dir).st_dev == os.stat("/").st_dev:
        return f"DATA_DIR={data_dir} lies in the container, not in a volume: pictures are lost with the container"
    return None


def by_record(folder: Path) -> dict[str, list[str]]:
    """record_id -> names of its picture, thumbnail and draft, as far as they lie in the folder of a device and month.

    Names: a Path for each costs ten times as much, and holds up the event loop from a thread as well.
    """
    found: dict[str, list[str]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file():
                found.setdefault(entry.name.partition(".")[0], []).append(entry.name)
    return found


def _kill_point(step: durable.Step) -> None:
    if step == "synced":
        kill_point("picture_written")
