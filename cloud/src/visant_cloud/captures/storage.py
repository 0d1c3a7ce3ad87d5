"""Where pictures lie: one interface, with a folder (local_folder.py) or an S3-compatible bucket (s3.py) behind it.

Both give a picture the name `<device>/<year-month>/<record>.jpg` and put its thumbnail beside it. A picture is durable
before its database row is written, so a row always has its picture. A picture without a row, left by a crash in between
or by a database that came back from an older backup, is set aside into `.without-record` and removed after ASIDE_DAYS.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from visant_cloud.captures.picture import Picture

WITHOUT_RECORD = ".without-record"
ASIDE_DAYS = 30
"""Days for which what was set aside is kept, counted from then."""
THUMBNAIL_SUFFIX = ".thumb.jpg"

Known = Callable[[Collection[str]], Awaitable[set[str]]]
"""Which of these records exist."""


class StorageAway(Exception):
    """The storage does not answer, or not as it should; one line says why. Nothing was promised, try again later."""


class StorageRefused(StorageAway):
    """The storage answers, and no later try will help: its settings are wrong."""


class StorageFull(StorageAway):
    """There is no room for what was to be stored, and nothing of it was left."""


@dataclass(frozen=True)
class PictureName:
    """Where a picture and its thumbnail lie, below the root."""

    device_key: str
    received_at: datetime
    record_id: str

    @property
    def picture(self) -> str:
        """`<device>/<year-month>/<record>.jpg`."""
        return f"{self._stem}.jpg"

    @property
    def thumbnail(self) -> str:
        """The thumbnail's; it may be missing."""
        return f"{self._stem}{THUMBNAIL_SUFFIX}"

    @property
    def _stem(self) -> str:
        return f"{self.device_key}/{self.received_at:%Y-%m}/{self.record_id}"


@dataclass(frozen=True)
class Download:
    """A stored object on its way out: its size in bytes, and its bytes a piece at a time.

    `chunks` raises StorageAway where the storage leaves in the middle.
    """

    size: int
    chunks: AsyncIterator[bytes]


class PictureStorage(Protocol):
    """One per process. Every method may raise StorageAway."""

    async def prepare(self) -> None:
        """Looks whether it can be used. Raises StorageRefused where it never will be."""

    async def ready(self) -> None:
        """Raises StorageAway where the storage was away a moment ago: nobody need decode a picture for it."""

    def free_bytes(self) -> int | None:
        """What is left; None: it has no bound that we know of. Asks nobody who may be far away."""

    async def store(self, picture: Picture, name: PictureName) -> None:
        """Picture and thumbnail; durable when it returns. Raises StorageFull.

        Where it raises, nothing of the picture stays that it can still take away. Who cancels it calls `remove`.
        """

    async def open(self, path: str) -> Download | None:
        """The object of `PictureName.picture` or `.thumbnail`; None where it is gone."""

    async def remove(self, names: Sequence[PictureName]) -> None:
        """Deletes pictures and thumbnails; nothing happens where they are gone."""

    def set_orphans_aside(self, known: Known, before: datetime) -> AsyncGenerator[list[str], None]:
        """Sets aside what was written before then and has no record.

        Yields for each piece that was looked through which objects it set aside. A whole picture goes where a person
        can look at it; a draft or a thumbnail can be made again and goes.
        """

    async def remove_aside(self, before: datetime) -> int:
        """Deletes what was set aside before then; returns how many."""
