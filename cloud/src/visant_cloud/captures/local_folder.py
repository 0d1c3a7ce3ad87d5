"""Pictures as files of one folder; several processes may share it.

A file is on the disk (fsync of file and folder) before `store` returns.
"""

import asyncio
import errno
import os
import shutil
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from io import FileIO
from pathlib import Path

import structlog
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool

from visant_cloud.captures.picture import Picture
from visant_cloud.captures.storage import (
    THUMBNAIL_SUFFIX,
    WITHOUT_RECORD,
    Download,
    Known,
    PictureName,
    StorageAway,
    StorageFull,
)
from visant_runtime import durable
from visant_runtime.kill_point import kill_point
from visant_runtime.log_throttle import LogThrottle

log = structlog.get_logger()

_CHUNK = 256 << 10
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class LocalFolder:
    """PictureStorage in `<root>/<device>/<year-month>`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._complaints = LogThrottle()

    async def prepare(self) -> None:
        """Makes the folder; raises OSError where that cannot be."""
        self._root.mkdir(parents=True, exist_ok=True)

    async def ready(self) -> None:
        """A disk that fails says so at the next write."""

    def free_bytes(self) -> int:
        """What is left on the file system."""
        try:
            return shutil.disk_usage(self._root).free
        except OSError as error:
            raise self._failed(error) from error

    async def store(self, picture: Picture, name: PictureName) -> None:
        """Durable when it returns. A thread cannot be cancelled, so it is told, and takes away what it wrote."""
        given_up = threading.Event()
        try:
            await asyncio.to_thread(self.write, picture, name, given_up)
        except asyncio.CancelledError:
            given_up.set()
            raise
        except OSError as error:
            raise self._failed(error) from error
        if self._complaints.over():
            log.info("the picture storage works again")

    def write(self, picture: Picture, name: PictureName, given_up: threading.Event) -> None:
        """The same, where blocking is no harm. Raises OSError."""
        path, thumbnail = self._root / name.picture, self._root / name.thumbnail
        try:
            for folder in (path.parent.parent, path.parent):
                if not folder.exists():
                    folder.mkdir(exist_ok=True)
                    durable.sync_folder(folder.parent)
            thumbnail.write_bytes(picture.thumbnail)  # can be made again
            durable.write(path, [picture.jpeg], new=True, step=_kill_point)
        except BaseException:
            with suppress(OSError):
                thumbnail.unlink(missing_ok=True)
            raise
        if given_up.is_set():
            self._unlink([name])

    async def open(self, path: str) -> Download | None:
        """Read in the threads that serve files, which decoding does not keep busy."""
        try:
            file = await run_in_threadpool(FileIO, self._root / path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failed(error) from error
        size = os.fstat(file.fileno()).st_size
        return Download(size, aiter(iterate_in_threadpool(_chunks(file))))

    async def remove(self, names: Sequence[PictureName]) -> None:
        """Deletes pictures and thumbnails; nothing happens where they are gone."""
        try:
            await asyncio.to_thread(self._unlink, names)
        except OSError as error:
            raise self._failed(error) from error

    def _unlink(self, names: Sequence[PictureName]) -> None:
        for name in names:
            (self._root / name.picture).unlink(missing_ok=True)
            (self._root / name.thumbnail).unlink(missing_ok=True)

    async def set_orphans_aside(self, known: Known, before: datetime) -> AsyncGenerator[list[str], None]:
        """A piece is the folder of one device and month."""
        for folder in await asyncio.to_thread(self.folders):
            files = await asyncio.to_thread(by_record, folder)
            recorded = await known(files)
            orphans = [name for record_id in files.keys() - recorded for name in files[record_id]]
            yield await asyncio.to_thread(self._set_aside, folder, orphans, before.timestamp()) if orphans else []

    def _set_aside(self, folder: Path, names: Iterable[str], before: float) -> list[str]:
        found = []
        aside = self._root / WITHOUT_RECORD
        for path in (folder / name for name in names):
            with suppress(FileNotFoundError):  # another process was faster
                if path.stat().st_mtime >= before:
                    continue
                if path.name.endswith((".new", THUMBNAIL_SUFFIX)):
                    path.unlink()
                else:
                    aside.mkdir(exist_ok=True)
                    path.replace(aside / path.name)
                found.append(str(path.relative_to(self._root)))
        return found

    async def remove_aside(self, before: datetime) -> int:
        """By the time of its change (stat(2), ctime), which is that of being set aside; nobody can set it otherwise."""
        try:
            return await asyncio.to_thread(self._remove_aside, before.timestamp())
        except OSError as error:
            raise self._failed(error) from error

    def _remove_aside(self, before: float) -> int:
        count = 0
        with suppress(FileNotFoundError), os.scandir(self._root / WITHOUT_RECORD) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # another process was faster
                    if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_ctime < before:
                        os.unlink(entry.path)
                        count += 1
        return count

    def _failed(self, error: OSError) -> StorageAway:
        """Ever fewer lines while it stays the same."""
        reason = f"the disk: {error.strerror or error}"
        times = self._complaints.again(reason)
        if times is not None:
            log.warning("the picture storage fails", reason=reason, **({} if times == 1 else {"times": times}))
        return StorageFull(reason) if error.errno in _NO_ROOM else StorageAway(reason)

    def folders(self) -> list[Path]:
        """One for each device and month."""
        devices = (path for path in self._root.iterdir() if path.is_dir() and path.name != WITHOUT_RECORD)
        return [month for device in devices for month in device.iterdir() if month.is_dir()]


def lost_with_the_container(data_dir: Path, what: str) -> str | None:
    """One line of warning where this runs in a container and the folder of `what` lies in no volume."""
    contained = os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv") or "DYNO" in os.environ
    if contained and os.stat(data_dir).st_dev == os.stat("/").st_dev:
        return f"DATA_DIR={data_dir} lies in the container, not in a volume: {what} lost with the container"
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


def _chunks(file: FileIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _kill_point(step: durable.Step) -> None:
    if step == "synced":
        kill_point("picture_written")
