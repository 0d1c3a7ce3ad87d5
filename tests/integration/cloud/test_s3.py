"""Pictures in a bucket of a real S3 server: away, slow, refusing, killed in between, shared by two processes."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.support.cloud_process import Process
from tests.support.hard_network import Authority, TlsFront
from tests.support.postgres import PostgresServer
from tests.support.s3_relay import Mode, S3Relay
from tests.support.swift import SwiftServer
from tests.support.swift_servers import STRANGER_ID, STRANGER_SECRET
from visant_cloud import housekeeping
from visant_cloud.captures import s3
from visant_cloud.captures.at_start import prepare_storage, storage_of
from visant_cloud.captures.storage import StorageAway
from visant_cloud.settings import CloudSettings
from visant_runtime.settings import SettingsError

pytestmark = pytest.mark.xdist_group("swift")


@pytest.fixture
def engine() -> str:
    """Where rows lie makes no difference to a bucket."""
    return "sqlite"


def settings(swift: SwiftServer, bucket: str, endpoint: str | None = None) -> dict[str, str]:
    return {key.lower(): value for key, value in swift.settings(bucket, "site", endpoint).items()}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket that does not answer is given up sooner; one that answers may take its time on a busy machine."""
    monkeypatch.setattr(s3, "_PATIENCE", 6.0)
    monkeypatch.setattr(s3, "_SILENCE", timedelta(seconds=2))
    monkeypatch.setattr(s3, "_REST", 0.5)


async def records(cloud: Any) -> list[dict[str, Any]]:
    return list((await cloud.client.get("/v1/captures")).json()["captures"])


async def test_a_picture_goes_its_whole_road_by_the_bucket(
    start: Any, swift: SwiftServer, bucket: str, picture: Any, tmp_path: Path
) -> None:
    cloud = await start(**settings(swift, bucket))
    await cloud.register()
    assert (await cloud.capture("D1", "t")).status_code == 201
    assert (await cloud.capture("D1", "t")).status_code == 200
    (record,) = await records(cloud)
    answer = await cloud.client.get(record["picture"])
    assert answer.content == picture() and answer.headers["content-length"] == str(len(picture()))
    assert answer.headers["content-type"] == "image/jpeg" and "immutable" in answer.headers["cache-control"]
    assert (await cloud.client.head(record["picture"])).headers["content-length"] == str(len(picture()))
    thumbnail = (await cloud.client.get(record["thumbnail"])).content
    keys = {key.partition("/2026")[0]: key for key in swift.keys(bucket)}
    stem = f"site/D1/{record['received_at'][:7]}/{record['record_id']}"
    assert set(swift.keys(bucket)) == {"site/.cloud", f"{stem}.jpg", f"{stem}.thumb.jpg"}, keys
    assert swift.request("GET", f"/{bucket}/{stem}.thumb.jpg").content == thumbnail != picture()
    assert swift.request("DELETE", f"/{bucket}/{stem}.thumb.jpg").status_code == 204
    assert (await cloud.client.get(record["thumbnail"])).content == picture(), "the picture stands in for it"
    assert swift.request("DELETE", f"/{bucket}/{stem}.jpg").status_code == 204
    gone = await cloud.client.get(record["picture"])
    assert gone.status_code == 404 and gone.json()["reason"] == "picture_lost"
    assert "visant_pictures_free_bytes" not in (await cloud.client.get("/metrics")).text
    assert not (tmp_path / "cloud" / "pictures").exists()


@pytest.mark.parametrize("mode", ["refuse", "hang", "500", "503", "403", "late"])
async def test_a_bucket_that_fails_leaves_the_picture_with_the_device_and_makes_no_record(
    start: Any, swift: SwiftServer, bucket: str, mode: Mode, impatient: None
) -> None:
    async with S3Relay(swift.endpoint) as relay:
        cloud = await start(**settings(swift, bucket, relay.endpoint))
        await cloud.register()
        await relay.set(mode)
        with capture_logs() as logs:
            answer = await cloud.capture("D1", "t")
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
        assert answer.headers["content-type"] == "application/problem+json" and answer.json()["reason"] == "storage"
        (line,) = [one for one in logs if one["log_level"] == "warning"]
        assert line["event"] == "the picture storage fails" and swift.secret not in str(line)
        assert await records(cloud) == []
        await relay.set("pass")
        assert (await cloud.capture("D1", "t")).status_code == 201
        (record,) = await records(cloud)
        assert (await cloud.client.get(record["picture"])).content.endswith(b"\xff\xd9")


async def test_a_bucket_that_hangs_holds_up_no_stream_and_no_page(
    start: Any, swift: SwiftServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PATIENCE", 60.0)
    monkeypatch.setattr(s3, "_SILENCE", timedelta(seconds=60))
    async with S3Relay(swift.endpoint) as relay:
        cloud = await start(**settings(swift, bucket, relay.endpoint))
        for number in range(3):  # one of them has 16 on the way at most
            await cloud.register(f"D{number}")
        assert (await cloud.capture("D1", "before")).status_code == 201
        (record,) = await records(cloud)
        before = relay.requests
        await relay.set("hang")
        waiting = [asyncio.create_task(cloud.capture(f"D{number % 3}", f"t{number}")) for number in range(30)]
        reading = asyncio.create_task(cloud.client.get(record["picture"]))
        while relay.requests < before + 31:  # all hang
            await asyncio.sleep(0.01)
        async with cloud.stream("D1") as stream:
            trigger = await cloud.trigger("D1")
            assert (await stream.command())["trigger_id"] == trigger
        assert (await cloud.client.get("/v1/devices")).status_code == 200
        assert not any(one.done() for one in (*waiting, reading)), "they still wait for the bucket"
        await relay.set("pass")
        assert {(await one).status_code for one in waiting} <= {201, 503}
        assert (await reading).status_code in (200, 503)


async def test_a_bucket_that_was_away_is_left_alone_for_a_moment(
    start: Any, swift: SwiftServer, bucket: str, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_REST", 3600.0)
    async with S3Relay(swift.endpoint) as relay:
        cloud = await start(**settings(swift, bucket, relay.endpoint))
        await cloud.register()
        await relay.set("500")
        for number in range(s3._FAILURES):
            assert (await cloud.capture("D1", f"t{number}")).status_code == 503
        before = relay.requests
        assert (await cloud.capture("D1", "t")).status_code == 503
        assert relay.requests == before, "nobody was asked"
        monkeypatch.setattr(time, "monotonic", lambda real=time.monotonic: real() + 3601)
        await relay.set("pass")
        assert (await cloud.capture("D1", "t")).status_code == 201


async def test_no_more_pictures_than_fit_into_memory_wait_for_a_slow_bucket(
    start: Any, swift: SwiftServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_AT_ONCE", 2)
    async with S3Relay(swift.endpoint) as relay:
        cloud = await start(**settings(swift, bucket, relay.endpoint))
        await cloud.register()
        before = relay.requests
        await relay.set("hang")
        waiting = [asyncio.create_task(cloud.capture("D1", f"t{number}")) for number in range(2)]
        while relay.requests < before + 2:
            await asyncio.sleep(0.01)
        assert (await cloud.capture("D1", "third")).status_code == 503
        await relay.set("pass")
        assert {(await one).status_code for one in waiting} == {201}, "the client asked again"
        assert (await cloud.capture("D1", "third")).status_code == 201


async def test_a_download_that_is_cut_is_no_whole_answer(
    start: Any, swift: SwiftServer, bucket: str, picture: Any, impatient: None
) -> None:
    async with S3Relay(swift.endpoint) as relay:
        cloud = await start(**settings(swift, bucket, relay.endpoint))
        await cloud.register()
        large = picture(4000, 3000) + b"\0" * 1_000_000 + b"\xff\xd9"  # a camera pads so
        assert (await cloud.capture("D1", "t", image=large)).status_code == 201
        (record,) = await records(cloud)
        assert (await cloud.client.get(record["picture"])).content == large
        await relay.set("cut")
        with pytest.raises(httpx.RemoteProtocolError):
            await cloud.client.get(record["picture"])
        await relay.set("pass")
        assert (await cloud.client.get(record["picture"])).content == large


async def test_a_bucket_that_cannot_be_read_answers_503_and_not_that_the_picture_is_lost(
    start: Any, swift: SwiftServer, bucket: str, impatient: None
) -> None:
    async with S3Relay(swift.endpoint) as relay:
        cloud = await start(**settings(swift, bucket, relay.endpoint))
        await cloud.register()
        assert (await cloud.capture("D1", "t")).status_code == 201
        (record,) = await records(cloud)
        for mode in ("refuse", "500", "403"):
            await relay.set(mode)
            for kind in ("picture", "thumbnail"):
                answer = await cloud.client.get(record[kind])
                assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
        await relay.set("pass")
        for key in swift.keys(bucket):
            assert swift.request("DELETE", f"/{bucket}/{key}").status_code == 204
        assert swift.request("DELETE", f"/{bucket}").status_code == 204
        assert (await cloud.client.get(record["picture"])).status_code == 503, "no bucket is no lost picture"


async def test_what_a_bucket_did_not_remove_is_removed_when_it_is_back(
    start: Any, swift: SwiftServer, bucket: str, impatient: None
) -> None:
    async with S3Relay(swift.endpoint) as relay:
        cloud = await start(**settings(swift, bucket, relay.endpoint), retention_days=1.0)
        await cloud.register()
        for trigger in ("a", "b"):
            assert (await cloud.capture("D1", trigger)).status_code == 201
        cloud.time.pass_(2 * 86400)
        await relay.set("500")
        left: list[Any] = []
        with pytest.raises(StorageAway):
            await housekeeping.remove_old(cloud.cloud, left, cloud.time())
        assert len(left) == 2 and await records(cloud) == []
        await relay.set("pass")
        await housekeeping.remove_old(cloud.cloud, left, cloud.time())
        assert swift.keys(bucket) == ["site/.cloud"] and left == []


async def test_a_picture_that_came_but_was_not_answered_for_is_found(
    start: Any, swift: SwiftServer, bucket: str, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "_ORPHAN_AGE", -60.0)
    async with S3Relay(swift.endpoint) as relay:
        cloud = await start(**settings(swift, bucket, relay.endpoint))
        await cloud.register()
        assert (await cloud.capture("D1", "kept")).status_code == 201
        kept = set(swift.keys(bucket))
        await relay.set("late")
        assert (await cloud.capture("D1", "t")).status_code == 503
        assert set(swift.keys(bucket)) > kept, "the thumbnail came"
        await relay.set("pass")
        assert [count async for count in housekeeping.set_orphans_aside(cloud.cloud)] == [1]
        assert set(swift.keys(bucket)) == kept


async def test_a_start_says_what_is_wrong_in_one_line(swift: SwiftServer, bucket: str, impatient: None) -> None:
    good = settings(swift, bucket)

    async def prepare(**given: Any) -> None:
        chosen = CloudSettings(**given)
        await prepare_storage(chosen, storage_of(chosen, "the-cloud"))

    await prepare(**good)
    wrong: list[tuple[dict[str, str], list[str]]] = [
        ({"aws_secret_access_key": "mistyped"}, ["403 SignatureDoesNotMatch", f"AWS_ACCESS_KEY_ID={swift.key_id}"]),
        ({"aws_access_key_id": "nobody"}, ["403", "AWS_ACCESS_KEY_ID=nobody", "AWS_SECRET_ACCESS_KEY"]),
        (settings(swift, "not-there"), ["s3://not-there", "NoSuchBucket", "make the bucket not-there"]),
        ({"aws_access_key_id": STRANGER_ID, "aws_secret_access_key": STRANGER_SECRET}, ["make the bucket"]),
        ({"storage_url": good["storage_url"].replace("us-east-1", "eu-north-1")}, ["400", "region"]),
    ]
    for given, words in wrong:
        with pytest.raises(SettingsError) as error:
            await prepare(**{**good, **given})
        line = str(error.value)
        assert line.startswith("STORAGE_URL=s3://") and "\n" not in line and len(line) < 400, line
        assert all(word in line for word in words), line
        assert not any(secret in line for secret in (swift.secret, "mistyped", STRANGER_SECRET)), line


async def test_a_second_cloud_never_gets_at_the_pictures_of_the_first(
    swift: SwiftServer, bucket: str, tmp_path: Path
) -> None:
    """With a database of its own it would find every one of them without a record."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first = Process(tmp_path / "first", **swift.settings(bucket, "site"))
    second = Process(tmp_path / "second", **swift.settings(bucket, "site"))
    try:
        first.start()
        with pytest.raises(AssertionError):
            second.start()
        assert second.popen.returncode == 78
        (line,) = [line for line in second.log.read_text().splitlines() if "[ERROR]" in line]
        assert swift.secret not in line
        for words in ("STORAGE_URL=s3://", "another cloud", "name a prefix", "delete the object .cloud"):
            assert words in line
        assert swift.request("DELETE", f"/{bucket}/site/.cloud").status_code == 204
        second.start()
    finally:
        for one in (first, second):
            one.end()


async def test_a_cloud_starts_while_its_bucket_is_away(
    start: Any, swift: SwiftServer, bucket: str, impatient: None
) -> None:
    async with S3Relay(swift.endpoint) as relay:
        await relay.set("refuse")
        with capture_logs() as logs:
            cloud = await start(**settings(swift, bucket, relay.endpoint))
        assert any(one["event"].startswith("STORAGE_URL=s3://") for one in logs)
        await cloud.register()
        assert (await cloud.capture("D1", "t")).status_code == 503
        await relay.set("pass")
        async with asyncio.timeout(60):  # after a few failures nobody asks for a moment
            while (await cloud.capture("D1", "t")).status_code != 201:
                await asyncio.sleep(0.05)


async def test_a_bucket_behind_the_sites_own_authority_is_used_with_ssl_cert_file(
    start: Any, swift: SwiftServer, bucket: str, impatient: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "ca")
    port = int(swift.endpoint.rpartition(":")[2])
    with TlsFront(authority.certificate("s3"), port) as server:
        with capture_logs() as logs:
            cloud = await start(**settings(swift, bucket, server.url))
        assert any("InvalidCertificate UnknownIssuer" in one["event"] for one in logs)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        cloud = await start(**settings(swift, bucket, server.url))
        await cloud.register()
        assert (await cloud.capture("D1", "t")).status_code == 201


@pytest.fixture
def process(tmp_path: Path, swift: SwiftServer, bucket: str) -> Iterator[Process]:
    one = Process(tmp_path, **swift.settings(bucket, "site"))
    yield one
    one.end()


@pytest.mark.parametrize("point", ["picture_stored", "capture_committed"])
async def test_kill_9_between_object_and_row_leaves_no_record_without_picture(
    process: Process, swift: SwiftServer, bucket: str, upload_body: Any, point: str
) -> None:
    process.start(VISANT_KILL_POINT=f"{point}:1")
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
        async with client.stream("GET", "/v1/devices/D0/commands") as stream:
            await anext(stream.aiter_lines())
        with pytest.raises(httpx.TransportError):
            await client.post("/v1/captures", json=upload_body("D0", "t"))
    assert await asyncio.to_thread(process.popen.wait, 120) == -signal.SIGKILL
    process.start()
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
        answer = await client.post("/v1/captures", json=upload_body("D0", "t"))
        assert answer.status_code == (200 if point == "capture_committed" else 201)
        (record,) = (await client.get("/v1/captures")).json()["captures"]
        assert (await client.get(record["picture"])).content.endswith(b"\xff\xd9")
    pictures = {key for key in swift.keys(bucket) if key.endswith(".jpg") and not key.endswith(".thumb.jpg")}
    assert len(pictures) == (1 if point == "capture_committed" else 2), "what was killed between is still there"


async def test_two_processes_serve_each_others_pictures_and_share_no_folder(
    swift: SwiftServer,
    bucket: str,
    postgres: PostgresServer,
    upload_body: Any,
    picture: Any,
    tmp_path: Path,
    engine: str,
) -> None:
    shared = {**swift.settings(bucket), "DATABASE_URL": postgres.url(f"s3_{time.monotonic_ns()}")}
    both = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        both.append(Process(tmp_path / name, **shared))
    try:
        for one in both:
            one.start()
        clients = [httpx.AsyncClient(base_url=one.url, timeout=60) for one in both]
        async with clients[0].stream("GET", "/v1/devices/D0/commands") as stream:
            assert json.loads((await anext(stream.aiter_lines())).removeprefix("data: "))["event"] == "connected"
        for number, client in enumerate(clients):
            image = picture(colour=number)
            sent = await client.post("/v1/captures", json=upload_body("D0", f"t{number}", image=image))
            assert sent.status_code == 201
            for reader in clients:
                assert (await reader.get(f"/v1/captures/{sent.json()['record_id']}/picture")).content == image
        for client in clients:
            await client.aclose()
    finally:
        for one in both:
            one.end()
    assert not any((tmp_path / name / "data").exists() for name in ("a", "b")), "nothing needs DATA_DIR"


async def test_workers_share_a_bucket_and_a_wrong_key_ends_them_all_with_one_line(
    swift: SwiftServer, bucket: str, postgres: PostgresServer, upload_body: Any, tmp_path: Path
) -> None:
    """The client's threads survive no fork; whoever used it before one would wait for ever behind it."""
    shared = {**swift.settings(bucket), "DATABASE_URL": postgres.url(f"s3_{time.monotonic_ns()}")}
    several = Process(tmp_path, **shared)
    try:
        with pytest.raises(AssertionError):
            several.start("--workers", "2", AWS_SECRET_ACCESS_KEY="mistyped")
        assert several.popen.returncode == 78
        (line,) = [line for line in several.log.read_text().splitlines() if "[ERROR]" in line]
        assert line.startswith("[ERROR] STORAGE_URL=s3://") and "mistyped" not in line
        several.start("--workers", "2")
        for number in range(6):  # a new connection each: either worker takes it
            async with httpx.AsyncClient(base_url=several.url, timeout=60) as client:
                async with client.stream("GET", "/v1/devices/D0/commands") as stream:
                    await anext(stream.aiter_lines())
                sent = await client.post("/v1/captures", json=upload_body("D0", f"t{number}"))
                assert sent.status_code == 201
            async with httpx.AsyncClient(base_url=several.url, timeout=60) as client:
                found = await client.get(f"/v1/captures/{sent.json()['record_id']}/picture")
                assert found.content.endswith(b"\xff\xd9")
    finally:
        several.end()


async def test_pictures_of_a_folder_are_served_from_the_bucket_that_they_were_copied_to(
    start: Any, swift: SwiftServer, bucket: str, picture: Any
) -> None:
    cloud = await start()
    await cloud.register()
    assert (await cloud.capture("D1", "t")).status_code == 201
    (record,) = await records(cloud)
    for path in cloud.files():
        name = "/".join(path.parts[-3:])
        assert swift.request("PUT", f"/{bucket}/site/{name}", path.read_bytes()).status_code == 200
        path.unlink()
    cloud = await start(**settings(swift, bucket))
    assert (await cloud.client.get(record["picture"])).content == picture()
    assert (await cloud.client.get(record["thumbnail"])).status_code == 200
