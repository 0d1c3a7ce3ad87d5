"""Pictures as objects of an S3-compatible bucket; any number of processes share it without a folder.

An object that was answered for is durable, and a listing sees it. A bucket and prefix belong to one cloud: the object
`.cloud` holds its id, so that a second cloud, whose database knows none of these pictures, never sets them aside.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import structlog
from obstore.exceptions import BaseError
from obstore.store import S3Store

from visant_cloud.captures.picture import Picture
from visant_cloud.captures.s3_url import S3Url
from visant_cloud.captures.storage import (
    THUMBNAIL_SUFFIX,
    WITHOUT_RECORD,
    Download,
    Known,
    PictureName,
    StorageAway,
    StorageRefused,
)
from visant_runtime.log_throttle import LogThrottle

if TYPE_CHECKING:  # the client has it in its stubs alone
    from obstore import GetResult

log = structlog.get_logger()

_OWNER = ".cloud"
_OURS = re.compile(r"[^/]+/\d{4}-\d{2}/([0-9a-f]{32})(\.thumb)?\.jpg")
"""A bucket may hold other things as well; nobody sets those aside."""

_PATIENCE = 20.0
"""Seconds for one step, retries included: less than the 30 in which a device gives an upload up."""
_CONNECT = timedelta(seconds=3)
_SILENCE = timedelta(seconds=10)
_DOWNLOAD = timedelta(minutes=10)
_PIECE_PATIENCE = 60.0
_RETRIES = 2

_AT_ONCE = 256
"""Pictures of one process on their way into the bucket; each is in memory meanwhile."""
_FAILURES = 3
"""In a row, after which it counts as away."""
_REST = 5.0
"""Seconds in which a bucket that is away is not asked to store; one failure among many is no reason."""

_CHUNK = 256 << 10
_PIECE = 200
"""Objects looked through at once."""
_BULK = 500
"""Pictures deleted at once; with their thumbnails the 1,000 keys of one DeleteObjects."""
_COPIES = 8


class S3Bucket:
    """PictureStorage in `url`. Before a process forks it may be made, but not used."""

    def __init__(self, url: S3Url, key_id: str, secret: str, cloud_id: str) -> None:
        self._url = url
        self._key_id = key_id
        self._cloud_id = cloud_id
        self._secret = secret
        self._storing = 0
        self._failures = 0
        self._rests_until = 0.0
        self._complaints = LogThrottle()

    @cached_property
    def _client(self) -> S3Store:
        """Made at its first use, which may be behind a fork; its threads would not survive one."""
        url = self._url
        return S3Store(
            url.bucket,
            prefix=url.prefix or None,
            endpoint=url.endpoint,
            region=url.region,
            access_key_id=self._key_id,
            secret_access_key=self._secret,
            client_options={
                "allow_http": True,
                "connect_timeout": _CONNECT,
                "read_timeout": _SILENCE,
                "timeout": _DOWNLOAD,
            },
            retry_config={
                "max_retries": _RETRIES,
                "retry_timeout": timedelta(seconds=_PATIENCE / 2),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=200),
                    "max_backoff": timedelta(seconds=2),
                    "base": 2,
                },
            },
        )

    async def prepare(self) -> None:
        """Reads, writes and lists there, so that a wrong setting is said at the start."""
        await self._claim()
        async for _ in self._listed():
            break

    async def ready(self) -> None:
        """Raises StorageAway while it rests after failures."""
        if self._failures >= _FAILURES and time.monotonic() < self._rests_until:
            raise StorageAway("the bucket was away a moment ago")

    def free_bytes(self) -> None:
        """A bucket has no bound."""

    async def store(self, picture: Picture, name: PictureName) -> None:
        """The thumbnail first: it can be made again, the picture makes the record whole."""
        await self.ready()
        if self._storing >= _AT_ONCE:
            raise self._complained(StorageAway(f"{_AT_ONCE} pictures are on their way into the bucket already"))
        self._storing += 1
        try:
            async with self._asking():
                await self._put(name.thumbnail, picture.thumbnail)
                await self._put(name.picture, picture.jpeg)
        except FileNotFoundError as error:
            raise self._failed(error) from None
        finally:
            self._storing -= 1

    async def open(self, path: str) -> Download | None:
        """Its bytes come as they are read: a slow reader holds one chunk."""
        try:
            async with self._asking():
                found = await self._client.get_async(path)
        except FileNotFoundError:
            return None
        return Download(found.meta["size"], self._chunks(found))

    async def remove(self, names: Sequence[PictureName]) -> None:
        """Deletes pictures and thumbnails; nothing happens where they are gone."""
        for start in range(0, len(names), _BULK):
            part = names[start : start + _BULK]
            async with self._asking():
                await self._client.delete_async([path for name in part for path in (name.picture, name.thumbnail)])

    async def set_orphans_aside(self, known: Known, before: datetime) -> AsyncGenerator[list[str], None]:
        """A piece is some hundred objects of the listing. Two processes at once do no harm."""
        await self._claim()  # the start may have found nobody to ask
        async for paths in self._listed(before):
            by_record: dict[str, list[str]] = {}
            for path in paths:
                if ours := _OURS.fullmatch(path):
                    by_record.setdefault(ours[1], []).append(path)
            recorded = await known(by_record)
            orphans = [path for record_id in by_record.keys() - recorded for path in by_record[record_id]]
            if orphans:
                await self._set_aside(orphans)
            yield orphans

    async def remove_aside(self, before: datetime) -> int:
        """By the time of its copy, which is that of being set aside."""
        count = 0
        async for paths in self._listed(before, WITHOUT_RECORD):
            if paths:
                async with self._asking(_PIECE_PATIENCE):
                    await self._client.delete_async(paths)
            count += len(paths)
        return count

    async def _set_aside(self, paths: list[str]) -> None:
        pictures = [path for path in paths if not path.endswith(THUMBNAIL_SUFFIX)]
        async with self._asking(_PIECE_PATIENCE):
            for start in range(0, len(pictures), _COPIES):
                await asyncio.gather(*(self._copy_aside(path) for path in pictures[start : start + _COPIES]))
            await self._client.delete_async(paths)

    async def _copy_aside(self, path: str) -> None:
        with suppress(FileNotFoundError):  # another process was faster
            await self._client.copy_async(path, f"{WITHOUT_RECORD}/{path.rpartition('/')[2]}")

    async def _claim(self) -> None:
        owner = None
        with suppress(FileNotFoundError):
            async with self._asking():
                owner = bytes(await (await self._client.get_async(_OWNER)).bytes_async()).decode(errors="replace")
        if owner is not None and owner != self._cloud_id:
            raise StorageRefused(
                f"it holds the pictures of another cloud, {owner[:32]!r}: name a prefix that no other cloud uses, "
                f"or delete the object {_OWNER} there, where that cloud is gone for good"
            )
        try:
            async with self._asking():
                await self._client.put_async(_OWNER, self._cloud_id.encode(), use_multipart=False)
        except FileNotFoundError as error:
            raise self._failed(error) from None

    async def _put(self, path: str, content: bytes) -> None:
        # one request, which is there as a whole or not at all; parts of a broken one would stay and cost
        await self._client.put_async(path, content, attributes={"Content-Type": "image/jpeg"}, use_multipart=False)

    async def _listed(self, before: datetime | None = None, below: str | None = None) -> AsyncIterator[list[str]]:
        """Paths in pieces, of what was written before then: below a folder, or all without our own objects, whose names
        begin with a dot."""
        if below is None:
            pieces = self._client.list(offset=".~", chunk_size=_PIECE)
        else:
            pieces = self._client.list(below, chunk_size=_PIECE)
        while True:
            try:
                async with self._asking():
                    piece = await anext(pieces)
            except StopAsyncIteration:
                return
            yield [one["path"] for one in piece if before is None or one["last_modified"] < before]

    async def _chunks(self, found: "GetResult") -> AsyncIterator[bytes]:
        chunks = found.stream(min_chunk_size=_CHUNK)
        while True:
            try:
                async with self._asking(_DOWNLOAD.total_seconds()):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            yield bytes(chunk)

    @asynccontextmanager
    async def _asking(self, seconds: float = _PATIENCE) -> AsyncIterator[None]:
        """What the client raises becomes StorageAway; FileNotFoundError is an answer."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._failed(error) from None
            self._answered()
            raise
        except (BaseError, OSError) as error:  # a TimeoutError is an OSError
            raise self._failed(error) from None
        self._answered()

    def _answered(self) -> None:
        self._failures = 0
        if self._complaints.over():
            log.info("the picture storage works again")

    def _failed(self, error: Exception) -> StorageAway:
        self._failures += 1
        self._rests_until = time.monotonic() + _REST
        reason, status = explained(error)
        remedy = self._remedy(status, reason)
        return self._complained(StorageAway(reason) if remedy is None else StorageRefused(f"{reason}: {remedy}"))

    def _complained(self, away: StorageAway) -> StorageAway:
        """Ever less often while it stays the same."""
        times = self._complaints.again(str(away))
        if times is not None:
            log.warning("the picture storage fails", reason=str(away), **({} if times == 1 else {"times": times}))
        return away

    def _remedy(self, status: int, reason: str) -> str | None:
        """None where trying again later is the remedy."""
        if not 300 <= status < 500 or status in (408, 409, 429):
            return None
        if status in (401, 403):
            return (
                f"check AWS_ACCESS_KEY_ID={self._key_id} and AWS_SECRET_ACCESS_KEY, and whether they may list, read, "
                "write and delete there"
            )
        if "NoSuchBucket" in reason:
            return f"make the bucket {self._url.bucket}, or name one that these credentials can see"
        return "check its bucket, region and endpoint"


def explained(error: Exception) -> tuple[str, int]:
    """One line without an address or a key, and the status of the answer, 0 where there was none.

    The client's text holds the request, the whole answer and its own inner state.
    """
    text = str(error)
    if isinstance(error, TimeoutError):
        return "no answer in time", 0
    code = re.search(r"<Code>(\w{1,60})</Code>", text)
    status = re.search(r"status code: (\d{3})", text)
    if status:
        return f"it answers {status[1]}" + (f" {code[1]}" if code else ""), int(status[1])
    kind = re.search(r"HttpError \{\s*kind: (\w+)", text)
    system = re.findall(r'(?:message|error): "([^"\\]{1,100})"', text)
    tls = re.search(r"error: (\w+)\(\s*(\w+)", text)
    words = [*([kind[1]] if kind else []), *system[-1:], *([f"{tls[1]} {tls[2]}"] if tls else [])]
    return f"no answer ({', '.join(words) or text.partition(chr(10))[0][:100]})", 0
