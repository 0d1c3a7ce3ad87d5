"""Rounds of work: when they come, what they survive, and what the heartbeat and the log hear of them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.periodic import every

HOUR = 3600.0


class Away(Exception):
    pass


class Beats(Heartbeat):
    """Remembers what it was told, in order."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.told: list[str] = []

    def beat(self, loop: str) -> None:
        super().beat(loop)
        self.told.append(f"beat {loop}")


@pytest.fixture
def beats(tmp_path: Path) -> Beats:
    return Beats(tmp_path / "heartbeat")


@pytest.fixture(autouse=True)
def no_settings_of_other_tests() -> None:
    structlog.reset_defaults()


def run(
    seconds: float, work: Callable[[], Awaitable[object]], stop: Stop, beats: Beats, **more: Any
) -> Awaitable[None]:
    given = {"loop": "sweep", "max_age": 60.0, "survives": (Away,), "complaint": "not swept"}
    return every(seconds, work, stop, beats, **{**given, **more})


def rounds_of(outcomes: list[Exception | None], stop: Stop, beats: Beats) -> Callable[[], Awaitable[None]]:
    """Work that ends each round as told, and tells the end after the last."""

    async def work() -> None:
        beats.told.append("round")
        outcome = outcomes.pop(0)
        if not outcomes:
            stop.set()
        if outcome is not None:
            raise outcome

    return work


async def test_a_named_error_is_survived_and_said_and_the_next_round_comes(beats: Beats) -> None:
    stop = Stop()
    with capture_logs() as lines:
        await run(0, rounds_of([Away("gone"), None, None], stop, beats), stop, beats)
    assert beats.told.count("round") == 3
    said = [(line["log_level"], line["event"]) for line in lines]
    assert said == [("warning", "not swept"), ("info", "works again")]
    assert lines[0]["error"] == "gone"


async def test_an_error_that_was_not_named_ends_it(beats: Beats) -> None:
    stop = Stop()
    with pytest.raises(ZeroDivisionError):
        await run(0, rounds_of([ZeroDivisionError(), None], stop, beats), stop, beats)
    assert beats.told == ["round"], "no beat for work that is dead"


async def test_it_beats_after_each_round_and_after_a_failed_one(beats: Beats) -> None:
    stop = Stop()
    with capture_logs():
        await run(0, rounds_of([None, Away(), None], stop, beats), stop, beats)
    assert beats.told == ["round", "beat sweep"] * 3


async def test_an_error_that_stays_the_same_is_said_ever_less_often(beats: Beats) -> None:
    stop = Stop()
    errors: list[Exception | None] = [Away(f"gone\n[parameters: {number}]") for number in range(100)]
    with capture_logs() as lines:
        await run(0, rounds_of(errors, stop, beats), stop, beats)
    assert [(line["error"], line.get("times")) for line in lines] == [
        ("gone\n[parameters: 0]", None),
        ("gone\n[parameters: 9]", 10),
        ("gone\n[parameters: 99]", 100),
    ]


async def test_another_error_is_said_at_once(beats: Beats) -> None:
    stop = Stop()
    with capture_logs() as lines:
        await run(0, rounds_of([Away("gone"), Away("gone"), Away("full")], stop, beats), stop, beats)
    assert [line["error"] for line in lines] == ["gone", "full"]


async def test_what_it_degrades_is_degraded_until_a_round_succeeds(beats: Beats) -> None:
    stop = Stop()
    heard: list[dict[str, str]] = []
    outcomes = [Away("gone"), None]

    async def work() -> None:
        heard.append(beats.reasons())
        if not outcomes:
            stop.set()
        elif (outcome := outcomes.pop(0)) is not None:
            raise outcome

    with capture_logs():
        await run(0, work, stop, beats, degrades="database")
    assert heard == [{}, {"database": "gone"}, {}]


async def test_the_first_round_comes_at_once_where_it_is_asked_for(beats: Beats) -> None:
    stop = Stop()
    async with asyncio.timeout(10):
        await run(HOUR, rounds_of([None], stop, beats), stop, beats, at_once=True)
    assert beats.told == ["round", "beat sweep"]


async def test_the_first_round_comes_after_the_interval_otherwise(
    beats: Beats, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Stop()
    sleep = stop.sleep

    async def noted(seconds: float) -> bool:
        beats.told.append(f"rest {seconds:.0f}")
        return await sleep(0)

    monkeypatch.setattr(stop, "sleep", noted)
    await run(HOUR, rounds_of([None, None], stop, beats), stop, beats)
    assert beats.told == ["rest 3600", "round", "beat sweep"] * 2 + ["rest 3600"]


@pytest.mark.parametrize("at_once", [False, True])
async def test_it_stops_at_once_when_told_however_long_the_interval(beats: Beats, at_once: bool) -> None:
    stop = Stop()

    async def work() -> None:
        asyncio.get_running_loop().call_soon(stop.set)

    running = asyncio.ensure_future(run(HOUR, work, stop, beats, at_once=at_once))
    if not at_once:
        asyncio.get_running_loop().call_soon(stop.set)
    async with asyncio.timeout(10):
        await running


async def test_a_round_that_takes_longer_than_the_interval_is_finished_before_the_next(beats: Beats) -> None:
    stop = Stop()
    under_way = 0
    most = 0
    left = 5

    async def work() -> None:
        nonlocal under_way, most, left
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        left -= 1
        if not left:
            stop.set()

    await run(0.001, work, stop, beats)
    assert (most, left, under_way) == (1, 0, 0)
    assert beats.told == ["beat sweep"] * 5


async def test_a_round_under_way_is_finished_when_it_is_told_to_stop(beats: Beats) -> None:
    stop = Stop()
    finished = []

    async def work() -> None:
        stop.set()
        await asyncio.sleep(0.01)
        finished.append(True)

    await run(0, work, stop, beats)
    assert finished == [True]
    assert beats.told == ["beat sweep"]


async def test_the_loop_is_expected_before_its_first_round(beats: Beats) -> None:
    stop = Stop()
    stop.set()
    await run(HOUR, rounds_of([], stop, beats), stop, beats, at_once=True)
    beats.beat("sweep")  # raises where it was never named
    assert beats.told == ["beat sweep"]
