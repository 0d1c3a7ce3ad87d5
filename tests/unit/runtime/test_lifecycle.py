import asyncio
import os
import signal

import pytest

from visant_runtime.lifecycle import Stop, run


def test_sigterm_ends_a_process_that_listens_with_status_0() -> None:
    async def main(stop: Stop) -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        assert await stop.sleep(60)

    assert run(main) == 0


def test_a_process_that_does_not_listen_is_cancelled_after_its_grace() -> None:
    cancelled = []

    async def main(stop: Stop) -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    assert run(main, grace=0.05) == 1
    assert cancelled == [True]


def test_a_dead_task_ends_the_process_with_status_1_and_each_reason(capsys: pytest.CaptureFixture[str]) -> None:
    async def fails(text: str) -> None:
        raise RuntimeError(text)

    async def main(stop: Stop) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails("first"))
            group.create_task(fails("second"))

    assert run(main) == 1
    printed = capsys.readouterr().out
    assert "first" in printed
    assert "second" in printed


async def test_sleep_says_whether_the_end_has_begun() -> None:
    stop = Stop()
    assert not await stop.sleep(0.001)
    assert not await stop.sleep(0)
    asyncio.get_running_loop().call_later(0.01, stop.set)
    assert await stop.sleep(60)
    assert await stop.sleep(0)
