"""SSE truth: silence, gaps, closed and refused streams. Every one is followed by another, none by a storm."""

import asyncio
from typing import Any

import pytest

from tests.fakes.fake_scripted_cloud import EVENT_STREAM, FakeScriptedCloud, Stream, server_time
from tests.support.redis import free_port


async def good(stream: Stream) -> None:
    """A stream that brings trigger `a` and stays."""
    await stream.connected()
    await stream.capture("a", id="1")
    await stream.hold()


async def test_a_gap_leads_to_a_replay_at_once(device: Any, until: Any) -> None:
    async def gap(stream: Stream) -> None:
        await stream.connected()
        await stream.ping(last_id="1")
        await stream.hold()

    async with FakeScriptedCloud(gap, good) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)
        assert one.triggers() == ["a"]
        assert one.fact("gaps") == 1
        assert one.rng.bounds == [(0.0, 1.0)]


async def test_a_gap_that_stays_is_asked_about_ever_more_slowly(device: Any, until: Any) -> None:
    async def gap(stream: Stream) -> None:
        await stream.connected()
        await stream.ping(last_id="77")
        await stream.hold()

    async with FakeScriptedCloud(gap) as cloud:
        one = await device(cloud.url)
        await until(lambda: len(cloud.streams) >= 6)
        assert [high for _, high in one.rng.bounds[:5]] == [1, 5, 10, 20, 30]


async def test_an_event_that_is_too_large_is_no_gap(device: Any, until: Any) -> None:
    async def script(stream: Stream) -> None:
        await stream.connected()
        await stream.raw(b"id: 1\ndata: " + b"x" * 1_100_000 + b"\n\n")
        await stream.ping(last_id="1")
        await stream.capture("a", id="2")
        await stream.hold()

    async with FakeScriptedCloud(script) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)
        assert one.fact("gaps") == 0
        assert len(cloud.streams) == 1


async def test_a_stream_silent_for_twice_the_promised_interval_is_left(device: Any, until: Any) -> None:
    async def silent(stream: Stream) -> None:
        await stream.connected(ping_every=0.2)
        await stream.hold()

    async with FakeScriptedCloud(silent, good) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)
        assert "silent" in one.degraded().get("cloud", "silent")


async def test_a_silent_plain_cloud_is_left_after_stream_timeout(device: Any, until: Any, logged: list[Any]) -> None:
    async def silent(stream: Stream) -> None:
        await stream.connected(None)
        await stream.hold()

    async with FakeScriptedCloud(silent, good) as cloud:
        one = await device(cloud.url, stream_timeout=1.0)
        await until(one.triggers)
        assert any("no event for 1 s" in line["event"] for line in logged)


async def test_comments_and_empty_events_are_no_sign_of_life(device: Any, until: Any) -> None:
    async def chatter(stream: Stream) -> None:
        await stream.connected(ping_every=0.3)
        await stream.capture("a", id="1")
        while True:
            await stream.raw(b": still here\n\n")
            await asyncio.sleep(0.05)

    async with FakeScriptedCloud(chatter) as cloud:
        await device(cloud.url)
        await until(lambda: len(cloud.streams) == 2)


async def test_a_cloud_that_pings_more_slowly_than_stream_timeout_is_believed_when_it_says_so(
    device: Any, until: Any
) -> None:
    async def slow(stream: Stream) -> None:
        await stream.connected(ping_every=2)
        await asyncio.sleep(1.5)
        await stream.ping()
        await stream.capture("a", id="1")
        await stream.hold()

    async with FakeScriptedCloud(slow) as cloud:
        one = await device(cloud.url, stream_timeout=1.0)
        await until(lambda: one.triggers() == ["a"])
        assert len(cloud.streams) == 1, "the first one, too"


async def test_only_a_metered_device_asks_for_rarer_pings_and_what_the_cloud_grants_counts(
    device: Any, until: Any
) -> None:
    async def grants_less(stream: Stream) -> None:
        await stream.connected(ping_every=0.2)
        await stream.hold()

    async with FakeScriptedCloud(good) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)
        assert "ping_every" not in cloud.streams[0].line
    async with FakeScriptedCloud(grants_less) as cloud:
        one = await device(cloud.url, metered=True)
        await until(lambda: len(cloud.streams) == 2)
        assert all("&ping_every=180 " in stream.line for stream in cloud.streams)
        await until(lambda: one.fact("silent_after") == 0.4)


async def test_a_connection_that_is_accepted_and_never_answered_is_given_up(
    device: Any, until: Any, logged: list[Any]
) -> None:
    async def mute(stream: Stream) -> None:
        await stream.hold()

    async with FakeScriptedCloud(mute, good) as cloud:
        one = await device(cloud.url, stream_timeout=1.0)
        await until(one.triggers)
        assert any("no answer within" in line["event"] for line in logged)


async def test_a_server_that_closes_every_stream_is_not_stormed(device: Any, until: Any) -> None:
    async def closes(stream: Stream) -> None:
        await stream.connected()
        await stream.capture("a", id="1")

    async with FakeScriptedCloud(closes) as cloud:
        one = await device(cloud.url)
        await until(lambda: len(cloud.streams) >= 6)
        assert [high for _, high in one.rng.bounds[:5]] == [1, 5, 10, 20, 30]
        assert one.triggers() == ["a"]


async def test_the_uploader_is_told_of_a_stream_too_short_for_a_whole_replay(device: Any, until: Any) -> None:
    async def closes(stream: Stream) -> None:
        await stream.connected()

    async def stays(stream: Stream) -> None:
        await go_on.wait()
        await stream.connected()
        await asyncio.sleep(3600)

    go_on = asyncio.Event()
    async with FakeScriptedCloud(closes, stays) as cloud:
        one = await device(cloud.url)
        await until(lambda: one.cloud() is not None and one.cloud().cut_short)
        go_on.set()
        await until(lambda: not one.cloud().cut_short)


async def test_a_stream_cut_in_the_middle_of_an_event_yields_no_half_command(device: Any, until: Any) -> None:
    async def cut(stream: Stream) -> None:
        await stream.connected()
        await stream.raw(b'data: {"cmd":"capture","trigger_id":"half"}')

    async with FakeScriptedCloud(cut, good) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)
        assert one.triggers() == ["a"]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, ["401", "DEVICE_TOKEN", "visant-cloud enrol-code --device-id FLOOR1 --replace"]),
        (403, ["403", "FLOOR1"]),
        (404, ["404", "no such device", "DEVICE_ID"]),
    ],
)
async def test_a_refused_device_says_so_once_and_waits_a_minute(
    device: Any, until: Any, logged: list[Any], status: int, words: list[str]
) -> None:
    async def refuse(stream: Stream) -> None:
        await stream.answer(status, {"detail": "no such device"})

    async with FakeScriptedCloud(refuse) as cloud:
        one = await device(cloud.url)
        await until(lambda: "cloud" in one.degraded() and words[0] in one.degraded()["cloud"])
        (line,) = [line for line in logged if line["log_level"] == "warning"]
        for word in words:
            assert word in line["event"]
        assert line["next_attempt_seconds"] >= 60
        assert len(cloud.streams) == 1


async def test_a_redirect_is_named_and_the_token_does_not_follow_it(device: Any, until: Any, logged: list[Any]) -> None:
    async with FakeScriptedCloud(good) as other:

        async def redirect(stream: Stream) -> None:
            await stream.answer(307, Location=other.url)

        async with FakeScriptedCloud(redirect) as cloud:
            one = await device(cloud.url, device_token="s3cret")
            await until(lambda: "redirects" in one.degraded().get("cloud", ""))
            assert other.url in one.degraded()["cloud"]
            assert other.streams == []


@pytest.mark.parametrize("location", ["http:portal", "http://xn--/"])
async def test_a_redirect_to_no_address_is_one_failure_among_others(device: Any, until: Any, location: str) -> None:
    async def redirect(stream: Stream) -> None:
        await stream.answer(302, Location=location)

    async with FakeScriptedCloud(redirect, good) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)


async def test_a_busy_cloud_is_given_the_time_it_asks_for(device: Any, until: Any, logged: list[Any]) -> None:
    async def busy(stream: Stream) -> None:
        await stream.answer(503, {"detail": "starting"}, Retry_After="1")

    async with FakeScriptedCloud(busy, good) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)
        (line,) = [line for line in logged if line["log_level"] == "warning"]
        assert "503 (starting)" in line["event"]
        assert line["next_attempt_seconds"] >= 1


async def test_a_sign_in_page_is_not_taken_for_a_stream(device: Any, until: Any, logged: list[Any]) -> None:
    async def portal(stream: Stream) -> None:
        await stream.raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi")

    async with FakeScriptedCloud(portal, good) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)
        assert any("text/html" in line["event"] for line in logged)


async def test_an_answer_that_is_not_http_is_named(device: Any, until: Any, logged: list[Any]) -> None:
    async def odd(stream: Stream) -> None:
        await stream.raw(b"SSH-2.0-OpenSSH\r\n")

    async with FakeScriptedCloud(odd, good) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)
        assert any("not HTTP" in line["event"] for line in logged)


async def test_a_cloud_that_is_away_for_long_is_reported_sparingly_and_found_again(
    device: Any, until: Any, logged: list[Any]
) -> None:
    cloud = FakeScriptedCloud(good)
    one = await device(cloud.url)
    await until(lambda: one.fact("reconnects") >= 12)
    lines = [line for line in logged if "refuses connections" in line["event"]]
    assert [line["times"] for line in lines] == [1, 10]
    assert sum(line["event"] == "Connecting to command stream..." for line in logged) <= 3
    async with cloud:
        await until(one.triggers)
        await until(lambda: "cloud" not in one.degraded())
        await one.end()


async def test_a_name_that_is_not_found_is_one_clear_line(device: Any, until: Any, logged: list[Any]) -> None:
    one = await device("http://cloud.invalid")
    await until(lambda: "cloud.invalid" in one.degraded().get("cloud", ""))
    assert "is not found" in one.degraded()["cloud"]


async def test_https_to_a_cloud_that_speaks_http_is_named(device: Any, until: Any) -> None:
    async def plain_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain_http, "127.0.0.1") as server:
        one = await device(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await until(lambda: "TLS" in one.degraded().get("cloud", ""))
        await one.end()


async def test_a_clock_set_back_in_the_cloud_is_believed_after_one_reconnect(device: Any, until: Any) -> None:
    async def jumps(stream: Stream) -> None:
        await stream.connected()
        await stream.ping(server_time=server_time(-3600))
        await stream.hold()

    async def behind(stream: Stream) -> None:
        await stream.accept()
        await stream.send({"event": "connected", "cloud_id": "cloud-1", "server_time": server_time(-3600)})
        await stream.capture("a", expires_at=server_time(-3600 + 60))
        await stream.hold()

    async with FakeScriptedCloud(jumps, behind) as cloud:
        one = await device(cloud.url)
        await until(one.triggers)
        (entry,) = one.entries()
        assert entry.deadline.boottime == pytest.approx(one.clock.boottime() + 60, abs=10)


async def test_a_better_reading_of_the_clouds_clock_reaches_the_uploader(device: Any, until: Any) -> None:
    async def late_then_prompt(stream: Stream) -> None:
        await stream.accept()
        await stream.send({"event": "connected", "cloud_id": "cloud-1", "server_time": server_time(-2)})
        await stream.ping(server_time=server_time())
        await stream.hold()

    async with FakeScriptedCloud(late_then_prompt) as cloud:
        one = await device(cloud.url)
        await until(lambda: one.cloud() is not None)
        true = one.clock.wall().timestamp() - one.clock.boottime()
        await until(lambda: one.cloud().clock_offset == pytest.approx(true, abs=1))


async def test_a_proxy_of_the_environment_is_used(device: Any, until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeScriptedCloud(good) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        one = await device("http://cloud.invalid")
        await until(one.triggers)
        assert proxy.streams[0].line.startswith("GET http://cloud.invalid/v1/devices/FLOOR1/commands")


async def test_the_loop_ends_promptly_in_each_of_its_waits(device: Any, until: Any) -> None:
    async def mute(stream: Stream) -> None:
        await stream.hold()

    async def silent(stream: Stream) -> None:
        await stream.raw(EVENT_STREAM)
        await stream.hold()

    async def refuse(stream: Stream) -> None:
        await stream.answer(404)

    for script in (mute, silent, refuse, good):
        async with FakeScriptedCloud(script) as cloud:
            one = await device(cloud.url)
            await until(lambda cloud=cloud: cloud.streams)
            began = one.clock.boottime()
            await one.end()
            assert one.clock.boottime() - began < 8
    one = await device(f"http://127.0.0.1:{free_port()}")
    await until(lambda: one.fact("reconnects") >= 1)
    await one.end()
