"""Pictures that were made to do harm, and pictures that cannot be kept: what is answered, and what stays behind."""

import asyncio
import errno
import io
import os
import signal
import sqlite3
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.exc import InterfaceError, OperationalError
from structlog.testing import capture_logs

from tests.support.hostile_jpegs import baseline, progressive, segment
from tests.support.postgres import PostgresServer
from visant_cloud.captures.decoding.pool import DecoderPool
from visant_cloud.store import trigger_outcomes
from visant_runtime import durable

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


async def registered(start: Any, **chosen: Any) -> Any:
    cloud = await start(**chosen)
    await cloud.register()
    return cloud


def packed() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(1 << 20))
    return file.getvalue()


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """Behind the start marker."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def exif(entries: bytes, count: int) -> bytes:
    return segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + count.to_bytes(2, "little") + entries)


LOOP = b"\x69\x87\x04\0\x01\0\0\0\x08\0\0\0"  # the EXIF IFD is where the first one is
HUGE = b"\x0e\x01\x02\0\xff\xff\xff\xff\x08\0\0\0"  # a description of 4 GB
ICC = [segment(0xE2, b"ICC_PROFILE\0" + bytes([number, 255]) + bytes(60_000)) for number in range(1, 60)]
NO_SIZE = b"\xff\xc0\0\x11\x08\0\x30\0\x40"
HOSTILE: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "1 GB in 3 MB": (lambda _: progressive(13_000, 13_000), 422),
    "13 s in 260 kB": (lambda _: progressive(6_000, 4_000, 1, 5_000), 422),
    "65500x65500": (lambda _: baseline(64, 48).replace(b"\x08\0\x30\0\x40", b"\x08\xff\xdc\xff\xdc"), 422),
    "no width": (lambda jpeg: jpeg.replace(NO_SIZE, NO_SIZE[:-2] + b"\0\0"), 422),
    "no height": (lambda jpeg: jpeg.replace(NO_SIZE, NO_SIZE[:5] + b"\0\0" + NO_SIZE[7:]), 422),
    "one line of 65500": (lambda _: baseline(65_500, 8), 201),
    "a zip behind it": (lambda jpeg: jpeg + packed(), 201),
    "a zip in its comment": (lambda jpeg: with_segments(jpeg, segment(0xFE, packed())), 201),
    "a page in its comment": (lambda jpeg: with_segments(jpeg, segment(0xFE, b"<script>alert(1)</script>")), 201),
    "a GIF that is a JPEG": (lambda jpeg: b"GIF89a" + jpeg, 415),
    "a PDF that is a JPEG": (lambda jpeg: with_segments(jpeg, segment(0xFE, b"%PDF-1.7\n")), 201),
    "an EXIF that points to itself": (lambda jpeg: with_segments(jpeg, exif(LOOP, 1)), 201),
    "an EXIF of 4 GB": (lambda jpeg: with_segments(jpeg, exif(HUGE, 1)), 201),
    "an EXIF of 65,535 entries": (lambda jpeg: with_segments(jpeg, exif(HUGE * 5_000, 65_535)), 201),
    "an ICC profile of 3.5 MB": (lambda jpeg: with_segments(jpeg, *ICC), 201),
    "100,000 segments": (lambda jpeg: with_segments(jpeg, *[segment(0xE5, b"")] * 100_000), 422),
    "a segment of one byte": (lambda jpeg: jpeg[:2] + b"\xff\xe5\0\1" + jpeg[2:], 422),
    "a segment longer than the file": (lambda jpeg: jpeg[:2] + b"\xff\xe5\xff\xff" + jpeg[2:], 422),
    "a table that is none": (lambda jpeg: with_segments(jpeg, segment(0xC4, b"\0" + b"\xff" * 16)), 422),
    "twelve bits": (lambda jpeg: jpeg.replace(NO_SIZE, NO_SIZE[:4] + b"\x0c" + NO_SIZE[5:]), 422),
    "lossless": (lambda jpeg: jpeg.replace(NO_SIZE, b"\xff\xc3" + NO_SIZE[2:]), 422),
    "arithmetic by its header": (lambda jpeg: jpeg.replace(NO_SIZE, b"\xff\xc9" + NO_SIZE[2:]), 201),
    "markers alone": (lambda _: b"\xff\xd8\xff" * 50_000, 422),
    "fill bytes alone": (lambda _: b"\xff\xd8" + b"\xff" * 3_000_000, 422),
}


@on_sqlite
async def test_each_hostile_picture_has_its_answer_and_an_honest_one_behind_it_is_stored(
    start: Any, picture: Any, decoders: DecoderPool
) -> None:
    cloud = await registered(start)
    lost = decoders.lost
    for name, (made, status) in HOSTILE.items():
        answer = await cloud.capture("D1", f"t-{name}", image=made(picture()))
        assert answer.status_code == status, (name, answer.text)
        if status != 201:
            detail = answer.json()["detail"]
            assert detail.isprintable() and len(detail) < 400, name
    assert (await cloud.capture("D1", "honest", image=picture())).status_code == 201
    assert decoders.lost == lost, "each was refused or read, and no decoder had to go"
    stored = [one for one in cloud.files() if not one.name.endswith(".thumb.jpg")]
    assert len(stored) == 1 + sum(status == 201 for _, status in HOSTILE.values())


@on_sqlite
async def test_a_picture_meets_no_decoder_and_its_device_is_asked_to_come_later(
    start: Any, picture: Any, decoders: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = await registered(start)
    with monkeypatch.context() as patched:
        patched.setattr("visant_cloud.captures.decoding.process._PROGRAM", ("/nowhere",))
        cloud.cloud.decoders = DecoderPool(1 << 20)
        answer = await cloud.capture("D1", "t")
        assert (answer.status_code, answer.json()["reason"]) == (503, "busy")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        cloud.cloud.decoders.close()
    cloud.cloud.decoders = decoders
    assert (await cloud.capture("D1", "before")).status_code == 201
    victim = decoders._idle[-1]
    os.kill(victim.pid, signal.SIGSTOP)
    asyncio.get_running_loop().call_later(0.1, os.kill, victim.pid, signal.SIGKILL)
    answer = await cloud.capture("D1", "t")
    assert (answer.status_code, answer.json()["reason"]) == (503, "decoder_lost"), answer.text
    assert answer.headers["retry-after"] == "10"
    assert cloud.files() and (await cloud.capture("D1", "t")).status_code == 201


ERRORS = [
    (errno.ENOSPC, 507),
    (errno.EDQUOT, 507),
    (errno.EROFS, 503),
    (errno.EACCES, 503),
    (errno.EIO, 503),
]
PLACES = ["mkdir", "thumbnail", "open", "write", "fsync", "rename", "folder"]


@on_sqlite
async def test_a_disk_that_fails_anywhere_is_said_once_and_nothing_of_the_picture_stays(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = await registered(start)
    for place in PLACES:
        for number, status in ERRORS:
            before = set(cloud.files())
            with monkeypatch.context() as patched, capture_logs() as logs:
                fail(patched, place, OSError(number, os.strerror(number)), fresh=not before)
                answers = [await cloud.capture("D1", f"{place}-{number}") for _ in range(3)]
            assert [one.status_code for one in answers] == [status] * 3, (place, number, answers[0].text)
            assert all(int(one.headers["retry-after"]) > 0 for one in answers)
            assert set(cloud.files()) == before, (place, number)
            said = [one["reason"] for one in logs if one["log_level"] == "warning"]
            assert said == [f"the disk: {os.strerror(number)}"], (place, number, said)
            with capture_logs() as logs:
                assert (await cloud.capture("D1", f"{place}-{number}")).status_code == 201
            assert [one["event"] for one in logs if "storage" in one["event"]] == ["the picture storage works again"]
            if place == "mkdir":
                for path in cloud.files():
                    path.unlink()
                next(iter(cloud.cloud.pictures.folders())).rmdir()


def fail(patched: pytest.MonkeyPatch, place: str, error: OSError, *, fresh: bool) -> None:
    """The operating system fails there, for what lies below `pictures`."""

    def wrap(owner: Any, name: str, when: Callable[..., bool]) -> None:
        real = getattr(owner, name)

        def failing(*given: Any, **more: Any) -> Any:
            if when(*given):
                raise error
            return real(*given, **more)

        patched.setattr(owner, name, failing)

    match place:
        case "mkdir":
            assert fresh
            wrap(Path, "mkdir", lambda path, *_: "pictures" in str(path))
        case "thumbnail":
            wrap(Path, "write_bytes", lambda path, data: bool(path.touch()) or True)
        case "open":
            wrap(os, "open", lambda path, flags, *_: str(path).endswith(".new"))
        case "write":
            wrap(os, "write", lambda handle, data: ".new" in os.readlink(f"/proc/self/fd/{handle}"))
        case "fsync":
            wrap(os, "fsync", lambda handle: ".new" in os.readlink(f"/proc/self/fd/{handle}"))
        case "rename":
            wrap(Path, "replace", lambda path, to: path.suffix == ".new")
        case "folder":
            wrap(durable, "sync_folder", lambda path: True)


@on_sqlite
async def test_a_volume_that_is_gone_is_503_until_it_is_back(start: Any) -> None:
    cloud = await registered(start)
    root = cloud.cloud.settings.data_dir / "pictures"
    root.rename(away := root.with_name("away"))
    answer = await cloud.capture("D1", "t")
    assert (answer.status_code, answer.json()["reason"]) == (503, "storage")
    away.rename(root)
    assert (await cloud.capture("D1", "t")).status_code == 201


async def test_the_file_goes_when_the_row_fails_whatever_the_reason(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = await registered(start)
    for error, status in (
        (InterfaceError("INSERT", {}, Exception("gone")), 503),
        (RuntimeError("a fault"), 500),
        (KeyError("x"), 500),
    ):

        async def failing(*_: Any, error: Exception = error) -> None:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(trigger_outcomes, "captured", failing)
            answer = await cloud.capture("D1", "t")
        assert answer.status_code == status
        assert cloud.files() == []
        assert (await cloud.client.get("/v1/captures")).json()["captures"] == []
    assert (await cloud.capture("D1", "t")).status_code == 201


async def test_the_file_goes_when_the_request_is_cancelled_before_its_commit(
    start: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = await registered(start)
    tasks: list[asyncio.Task[Any] | None] = []

    async def given_up(*_: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        task.cancel()
        await asyncio.sleep(60)

    async def gone() -> bool:
        return bool(tasks) and cloud.files() == []

    with monkeypatch.context() as patched:
        patched.setattr(trigger_outcomes, "captured", given_up)
        assert (await cloud.capture("D1", "t")).status_code == 500, "uvicorn's, for nobody sees it: the process ends"
        await eventually(gone)
    assert (await cloud.capture("D1", "t")).status_code == 201


@on_sqlite
async def test_a_file_that_is_being_written_when_its_request_is_cancelled_goes(
    start: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = await registered(start)
    writing, go_on, wrote = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    real = durable.write

    def slowly(*given: Any, **more: Any) -> None:
        real(*given, **more)
        loop.call_soon_threadsafe(writing.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(30)
        loop.call_soon_threadsafe(wrote.set)

    monkeypatch.setattr(durable, "write", slowly)
    before = asyncio.all_tasks()
    posting = asyncio.create_task(cloud.capture("D1", "t"))
    await asyncio.wait_for(writing.wait(), 30)
    assert len(cloud.files()) == 2
    (serving,) = [one for one in asyncio.all_tasks() - before - {posting} if "run_asgi" in repr(one.get_coro())]
    serving.cancel()
    assert (await posting).status_code == 500
    go_on.set()
    await asyncio.wait_for(wrote.wait(), 30)

    async def gone() -> bool:
        return bool(cloud.files() == [])

    await eventually(gone)


async def test_the_file_stays_where_nobody_knows_whether_the_row_was_committed(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to COMMIT is lost: the row may be there, and a row without its picture is the greater harm."""
    cloud = await registered(start)
    real = cloud.cloud.database.writing

    @asynccontextmanager
    async def lost_answer() -> AsyncIterator[Any]:
        async with real() as connection:
            yield connection
        raise InterfaceError("COMMIT", {}, ConnectionResetError())

    with monkeypatch.context() as patched:
        patched.setattr(cloud.cloud.database, "writing", lost_answer)
        assert (await cloud.capture("D1", "t")).status_code == 503
    assert len(cloud.files()) == 2
    again = await cloud.capture("D1", "t")
    assert again.status_code == 200
    record_id = again.json()["record_id"]
    assert (await cloud.client.get(f"/v1/captures/{record_id}/picture")).status_code == 200


@on_sqlite
async def test_the_file_goes_where_the_database_had_no_room_for_the_commit(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = await registered(start)
    real = cloud.cloud.database.writing

    @asynccontextmanager
    async def full() -> AsyncIterator[Any]:
        with suppress(ZeroDivisionError):
            async with real() as connection:
                yield connection
                raise ZeroDivisionError
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
        raise OperationalError("COMMIT", {}, error)

    with monkeypatch.context() as patched:
        patched.setattr(cloud.cloud.database, "writing", full)
        assert (await cloud.capture("D1", "t")).status_code == 503
    assert cloud.files() == []
    assert (await cloud.capture("D1", "t")).status_code == 201


@on_sqlite
async def test_a_read_only_postgresql_is_503_and_leaves_no_file(start: Any, postgres: PostgresServer) -> None:
    url = postgres.url("read_only")
    cloud = await registered(start, database_url=url)
    owner = await asyncpg.connect(url)
    try:
        await owner.execute("ALTER DATABASE read_only SET default_transaction_read_only = on")
        await cloud.cloud.database.engine.dispose()  # new connections hear of it
        answer = await cloud.capture("D1", "t")
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0, answer.text
        assert cloud.files() == []
        await owner.execute("ALTER DATABASE read_only RESET default_transaction_read_only")
    finally:
        await owner.close()
    await cloud.cloud.database.engine.dispose()
    assert (await cloud.capture("D1", "t")).status_code == 201
