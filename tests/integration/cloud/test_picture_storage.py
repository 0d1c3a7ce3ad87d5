"""One interface, two storages: a folder and a bucket of a real S3 server hold to the same."""

import asyncio
import os
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.swift import SwiftServer
from tests.support.swift_servers import LISTED_AT_ONCE
from visant_cloud.captures import s3
from visant_cloud.captures.local_folder import LocalFolder
from visant_cloud.captures.picture import Picture
from visant_cloud.captures.s3 import S3Bucket
from visant_cloud.captures.s3_url import s3_url
from visant_cloud.captures.storage import Download, PictureName, PictureStorage

pytestmark = pytest.mark.xdist_group("swift")

CLOUD_ID = "0123456789abcdef" * 2
NOVEMBER = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


@dataclass
class Stored:
    """A storage, and what really lies in it."""

    storage: PictureStorage
    root: Path
    swift: SwiftServer | None = None
    bucket: str = ""

    def another(self) -> PictureStorage:
        """The same place, as another process has it."""
        return _bucket(self.swift, self.bucket) if self.swift else LocalFolder(self.root)

    def there(self) -> dict[str, bytes]:
        """Path to content, seen past the storage."""
        if self.swift is None:
            files = [path for path in self.root.rglob("*") if path.is_file()]
            return {str(path.relative_to(self.root)): path.read_bytes() for path in files}
        keys = [key.removeprefix("site/a/") for key in self.swift.keys(self.bucket)]
        return {key: self._content(key) for key in keys if key != ".cloud"}

    def _content(self, key: str) -> bytes:
        assert self.swift is not None
        return self.swift.request("GET", f"/{self.bucket}/site/a/{key}").content

    def put(self, path: str, content: bytes) -> None:
        """Past the storage."""
        if self.swift is None:
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(content)
        else:
            assert self.swift.request("PUT", f"/{self.bucket}/site/a/{path}", content).status_code == 200

    def take(self, path: str) -> None:
        """Past the storage."""
        if self.swift is None:
            (self.root / path).unlink()
        else:
            assert self.swift.request("DELETE", f"/{self.bucket}/site/a/{path}").status_code == 204


def _bucket(swift: SwiftServer, bucket: str, cloud_id: str = CLOUD_ID) -> S3Bucket:
    url = s3_url(swift.settings(bucket, "site/a")["STORAGE_URL"])
    assert url is not None
    return S3Bucket(url, swift.key_id, swift.secret, cloud_id)


@pytest.fixture(params=["folder", "s3"])
async def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Stored:
    if request.param == "folder":
        made = Stored(LocalFolder(tmp_path / "pictures"), tmp_path / "pictures")
    else:
        swift, bucket = request.getfixturevalue("swift"), request.getfixturevalue("bucket")
        made = Stored(_bucket(swift, bucket), tmp_path, swift, bucket)
    await made.storage.prepare()
    return made


def picture(size: int = 300_000) -> Picture:
    return Picture(os.urandom(size), 64, 48, "", os.urandom(5_000))


def named(device_key: str = "FLOOR1", received_at: datetime = NOVEMBER) -> PictureName:
    return PictureName(device_key, received_at, secrets.token_hex(16))


async def content(download: Download | None) -> bytes:
    assert download is not None
    found = b"".join([chunk async for chunk in download.chunks])
    assert len(found) == download.size
    return found


async def nobody(record_ids: Collection[str]) -> set[str]:
    return set()


def soon() -> datetime:
    """Everything that is there was written before then."""
    return datetime.now(UTC) + timedelta(minutes=1)


@pytest.mark.parametrize("device_key", ["FLOOR1", "acme~FLOOR1", "a.b-c_d"])
@pytest.mark.parametrize("size", [1, 300_000, 6 << 20])
async def test_stored_is_what_is_read_byte_for_byte(stored: Stored, device_key: str, size: int) -> None:
    one, name = picture(size), named(device_key)
    await stored.storage.store(one, name)
    stem = f"{device_key}/2026-11/{name.record_id}"
    assert stored.there() == {f"{stem}.jpg": one.jpeg, f"{stem}.thumb.jpg": one.thumbnail}
    assert await content(await stored.another().open(name.picture)) == one.jpeg
    assert await content(await stored.another().open(name.thumbnail)) == one.thumbnail


async def test_a_download_comes_in_pieces(stored: Stored) -> None:
    name = named()
    await stored.storage.store(picture(3 << 20), name)
    download = await stored.storage.open(name.picture)
    assert download is not None
    pieces = [len(chunk) async for chunk in download.chunks]
    assert len(pieces) > 5 and max(pieces) <= 1 << 20


async def test_a_picture_stored_twice_is_there_once_as_the_second_had_it(stored: Stored) -> None:
    name, second = named(), picture()
    await stored.storage.store(picture(), name)
    await stored.storage.store(second, name)
    assert len(stored.there()) == 2
    assert await content(await stored.storage.open(name.picture)) == second.jpeg


async def test_twenty_at_once_are_all_there(stored: Stored) -> None:
    pictures = {named(f"D{number % 3}"): picture(50_000) for number in range(20)}
    await asyncio.gather(*(stored.storage.store(one, name) for name, one in pictures.items()))
    there = stored.there()
    assert len(there) == 40
    assert all(there[name.picture] == one.jpeg for name, one in pictures.items())


async def test_what_is_gone_is_none_and_its_neighbour_is_there(stored: Stored) -> None:
    one, name = picture(), named()
    assert await stored.storage.open(name.picture) is None
    await stored.storage.store(one, name)
    stored.take(name.thumbnail)
    assert await stored.storage.open(name.thumbnail) is None
    assert await content(await stored.storage.open(name.picture)) == one.jpeg


async def test_removing_takes_picture_and_thumbnail_and_what_is_gone_is_no_error(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_BULK", 2)
    names = [named() for _ in range(5)]
    for name in names:
        await stored.storage.store(picture(1000), name)
    stored.take(names[0].thumbnail)
    await stored.storage.remove([named("NEVER"), *names[:4]])
    assert set(stored.there()) == {names[4].picture, names[4].thumbnail}
    await stored.storage.remove(names)
    await stored.storage.remove(names)
    await stored.storage.remove([])
    assert stored.there() == {}


async def test_what_has_no_record_is_set_aside_in_pieces_and_the_rest_stays(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PIECE", 4)
    kept, orphans = [named(f"D{n % 3}") for n in range(7)], {named(f"D{n % 3}"): picture(1000) for n in range(8)}
    assert 2 * len(orphans) > LISTED_AT_ONCE, "more than one answer of the server"
    for name, one in [*((name, picture(1000)) for name in kept), *orphans.items()]:
        await stored.storage.store(one, name)
    recorded = {name.record_id for name in kept}
    asked: list[int] = []

    async def known(record_ids: Collection[str]) -> set[str]:
        asked.append(len(record_ids))
        return recorded & set(record_ids)

    aside = [path async for piece in stored.storage.set_orphans_aside(known, soon()) for path in piece]
    assert sorted(aside) == sorted(path for name in orphans for path in (name.picture, name.thumbnail))
    assert len(asked) >= 3 and max(asked) < 10, "no piece is the whole"
    there = stored.there()
    assert {path: content for path, content in there.items() if path.startswith(".without-record/")} == {
        f".without-record/{name.record_id}.jpg": one.jpeg for name, one in orphans.items()
    }
    assert {path for path in there if not path.startswith(".")} == {
        path for name in kept for path in (name.picture, name.thumbnail)
    }
    assert [piece async for piece in stored.storage.set_orphans_aside(known, soon()) if piece] == []


async def test_a_young_picture_is_not_set_aside(stored: Stored) -> None:
    await stored.storage.store(picture(1000), named())
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert [piece async for piece in stored.storage.set_orphans_aside(nobody, hour_ago) if piece] == []
    assert len(stored.there()) == 2


async def test_two_processes_that_set_the_same_aside_lose_nothing(stored: Stored) -> None:
    orphans = {named(f"D{n % 2}"): picture(1000) for n in range(6)}
    for name, one in orphans.items():
        await stored.storage.store(one, name)

    async def all_of(storage: PictureStorage) -> None:
        async for _ in storage.set_orphans_aside(nobody, soon()):
            pass

    await asyncio.gather(all_of(stored.storage), all_of(stored.another()))
    assert stored.there() == {f".without-record/{name.record_id}.jpg": one.jpeg for name, one in orphans.items()}


async def test_a_round_that_is_broken_off_goes_on_with_the_next(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PIECE", 2)
    for number in range(3):
        await stored.storage.store(picture(1000), named(f"D{number}"))
    round_one = stored.storage.set_orphans_aside(nobody, soon())
    await anext(round_one)
    await round_one.aclose()
    assert len([path for path in stored.there() if path.startswith(".without-record/")]) == 1
    async for _ in stored.storage.set_orphans_aside(nobody, soon()):
        pass
    assert len(stored.there()) == 3


async def test_what_was_set_aside_is_removed_once_it_lies_there_long_enough(stored: Stored) -> None:
    for name in (kept := named(), named("D1"), named("D2")):
        await stored.storage.store(picture(1000), name)

    async def recorded(record_ids: Collection[str]) -> set[str]:
        return {kept.record_id}

    async for _ in stored.storage.set_orphans_aside(recorded, soon()):
        pass
    assert await stored.storage.remove_aside(datetime.now(UTC) - timedelta(minutes=1)) == 0
    assert len(stored.there()) == 4
    assert await stored.another().remove_aside(soon()) == 2
    assert set(stored.there()) == {kept.picture, kept.thumbnail}
    assert await stored.storage.remove_aside(soon()) == 0


async def test_what_others_keep_in_the_bucket_is_not_ours_to_set_aside(swift: SwiftServer, bucket: str) -> None:
    theirs = ["site/a/readme.txt", "site/a/backup/2026-11/db.dump", "site/a/x/y/z.jpg", "elsewhere/D1/2026-11/a.jpg"]
    for key in theirs:
        assert swift.request("PUT", f"/{bucket}/{key}", b"theirs").status_code == 200
    async for _ in _bucket(swift, bucket).set_orphans_aside(nobody, soon()):
        pass
    assert sorted(swift.keys(bucket)) == sorted([*theirs, "site/a/.cloud"])
