"""The newest frame and those who wait for one: whom it suits, when a copy is worth its cost, and the end."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from visant_camera import latest_frame
from visant_camera.frame import Frame
from visant_camera.latest_frame import CHECK_TIME, LatestFrame
from visant_camera.picture import Picture


class SteadyTime:
    """`time`, standing still at `now` until a test sets it."""

    CLOCK_BOOTTIME = 7

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def clock_gettime(self, clock: int) -> float:
        assert clock == self.CLOCK_BOOTTIME
        return self.now + 1000.0

    def time(self) -> float:
        return self.now + 1_795_000_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SteadyTime:
    one = SteadyTime()
    monkeypatch.setattr(latest_frame, "time", one)
    return one


@pytest.fixture
def latest(clock: SteadyTime) -> LatestFrame:
    return LatestFrame(quality=90, idle_after=60.0)


def frame(exposed_at: float) -> Frame:
    return Frame(b"\xff\xd8\xff\xd9", "mjpeg", 4, 2, 1, exposed_at)


async def waiting(latest: LatestFrame, *since: float) -> list[asyncio.Task[Picture]]:
    """Requests that have begun to wait."""
    tasks = [asyncio.create_task(latest.picture(one, 30.0)) for one in since]
    await asyncio.sleep(0)
    return tasks


async def ended_by(work: Callable[[], object], tasks: list[asyncio.Task[Picture]]) -> list[bool]:
    """Which of `tasks` have ended once `work` was done in the grabber's thread."""
    thread = threading.Thread(target=work)
    thread.start()
    await asyncio.to_thread(thread.join)
    for _ in range(5):
        await asyncio.sleep(0)
    return [task.done() for task in tasks]


async def test_a_frame_goes_to_all_whom_it_is_new_enough_for(latest: LatestFrame) -> None:
    tasks = await waiting(latest, 98.0, 99.0, 99.001, 105.0)
    assert await ended_by(lambda: latest.offer(frame(99.0)), tasks) == [True, True, False, False]
    assert tasks[0].result() is tasks[1].result()
    assert await ended_by(lambda: latest.offer(frame(100.0)), tasks) == [True, True, True, False]
    assert tasks[2].result().exposed.monotonic == 100.0
    tasks[3].cancel()


async def test_a_picture_tells_its_exposure_on_all_clocks(latest: LatestFrame, clock: SteadyTime) -> None:
    (task,) = await waiting(latest, 0.0)
    await ended_by(lambda: latest.offer(frame(99.0)), [task])
    exposed = task.result().exposed
    assert (exposed.monotonic, exposed.boottime, exposed.unix_time) == (99.0, 1099.0, 1_795_000_099.0)


@pytest.mark.parametrize(("since", "given"), [(98.0, True), (99.0, True), (99.001, False)])
async def test_the_newest_picture_is_given_at_once_where_it_is_new_enough(
    latest: LatestFrame, since: float, given: bool
) -> None:
    latest.offer(frame(99.0))
    (task,) = await waiting(latest, since)
    assert task.done() is given
    assert not given or task.result().exposed.monotonic == 99.0
    task.cancel()


async def test_a_wait_that_ends_at_its_timeout_leaves_nobody_behind(latest: LatestFrame) -> None:
    with pytest.raises(TimeoutError):
        await latest.picture(0.0, 0.0)
    assert not latest.wanted()
    latest.offer(frame(99.0))  # to nobody, and without an error


async def test_a_frame_is_worth_its_copy_while_somebody_waits(latest: LatestFrame, clock: SteadyTime) -> None:
    assert not latest.wanted()
    (task,) = await waiting(latest, 0.0)
    assert latest.wanted()
    latest.offer(frame(99.0))
    assert latest.wanted(), "it has yet to be checked: where it is bad, the very next one is taken"
    latest.offer(frame(99.1))
    assert not latest.wanted(), "whom it suits waits no more, also before the loop has told it"
    assert (await task).exposed.monotonic == 99.0
    assert (await latest.picture(99.05, 1.0)).exposed.monotonic == 99.1, "kept for whoever finds the first one damaged"
    clock.now += CHECK_TIME
    assert not latest.wanted()
    (task,) = await waiting(latest, 99.05)
    assert not task.done(), "and no longer"
    task.cancel()


async def test_who_wants_a_fresh_one_gets_the_first_whose_exposure_began_in_time(latest: LatestFrame) -> None:
    def exposing_since(before: float, stamp: float) -> Frame:
        return Frame(b"", "mjpeg", 4, 2, 1, stamp, before)

    latest.offer(exposing_since(97.0, 98.0))
    task = asyncio.create_task(latest.picture(98.0, 30.0, fresh=True))
    (stamped,) = await waiting(latest, 98.0)
    assert stamped.done()
    assert await ended_by(lambda: latest.offer(exposing_since(97.9, 98.5)), [task]) == [False]
    assert await ended_by(lambda: latest.offer(exposing_since(98.0, 99.0)), [task]) == [True]
    assert task.result().exposed.monotonic == 99.0


async def test_who_takes_older_pictures_keeps_frames_coming_for_the_idle_time_only(
    latest: LatestFrame, clock: SteadyTime
) -> None:
    latest.offer(frame(99.0))
    await latest.picture(99.0, 1.0, keep=True)  # at 100, with a minute of idle time
    for now, wanted in ((100.0, True), (159.9, True), (160.0, False), (100.0, True)):
        clock.now = now
        assert latest.wanted() is wanted


async def test_who_wants_a_new_picture_keeps_none_coming(latest: LatestFrame) -> None:
    latest.offer(frame(99.0))
    await latest.picture(99.0, 1.0)
    assert not latest.wanted()


async def test_the_idle_time_keeps_frames_coming_before_the_first_one(latest: LatestFrame, clock: SteadyTime) -> None:
    with pytest.raises(TimeoutError):
        await latest.picture(0.0, 0.0, keep=True)
    assert latest.wanted()
    clock.now = 160.0
    assert not latest.wanted()


def test_a_clock_that_began_just_now_wants_nothing(latest: LatestFrame, clock: SteadyTime) -> None:
    clock.now = 0.0
    assert not latest.wanted()


async def test_an_idle_camera_keeps_no_old_picture(latest: LatestFrame) -> None:
    """A frame that nobody asked for is not copied: the newest would stay the one of an hour ago."""
    latest.offer(frame(99.0))
    assert not latest.wanted()
    (task,) = await waiting(latest, 0.0)
    assert not task.done()
    task.cancel()


async def test_at_the_end_everybody_goes_and_nobody_waits_any_more(latest: LatestFrame) -> None:
    assert not latest.ended
    tasks = await waiting(latest, 0.0, 500.0)
    latest.end()
    latest.end()
    assert latest.ended
    assert await ended_by(lambda: None, tasks) == [True, True]
    tasks += await waiting(latest, 0.0)
    assert [type(task.exception()) for task in tasks] == [TimeoutError] * 3


async def test_the_end_and_a_frame_at_once_are_no_error(latest: LatestFrame) -> None:
    """A frame resolves a wait from another thread: by then it may be over."""
    troubles: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
    (task,) = await waiting(latest, 0.0)
    latest.offer(frame(99.0))  # its word to the loop is on its way
    task.cancel()
    assert await ended_by(lambda: None, [task]) == [True]
    (task,) = await waiting(latest, 500.0)
    task.cancel()
    latest.end()
    assert await ended_by(lambda: None, [task]) == [True]
    assert troubles == []


def test_a_frame_for_a_loop_that_has_closed_is_nobodys(latest: LatestFrame) -> None:
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # a task that is never finished is what this is about
    task = loop.create_task(latest.picture(0.0, 30.0))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    latest.offer(frame(99.0))
    assert not task.done()
    task.get_coro().close()
