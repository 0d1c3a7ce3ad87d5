"""How many streams may begin at once, and who is held back."""

import asyncio
from collections import Counter

import pytest

from visant_cloud.commands.arrivals import PER_SECOND, Arrivals, Turnstile
from visant_cloud.problems import Refusal


def test_a_fleet_of_10000_is_in_within_30_seconds_and_no_second_sees_more_than_it_should() -> None:
    now = 0.0
    gate = Turnstile(PER_SECOND, lambda: now)
    coming = {0.0: 10_000}
    let_in: Counter[int] = Counter()
    while coming:
        now = min(coming)
        for _ in range(coming.pop(now)):
            try:
                let_in[int(now + gate.arrive())] += 1
            except Refusal as refusal:
                later = now + int((refusal.headers or {})["Retry-After"])
                coming[later] = coming.get(later, 0) + 1
    assert sum(let_in.values()) == 10_000
    assert max(let_in) < 30
    assert max(let_in.values()) <= PER_SECOND + 100 + PER_SECOND / 20


def test_those_who_wait_go_in_together() -> None:
    gate = Turnstile(PER_SECOND, lambda: 10.0)
    waits = Counter(round(gate.arrive(), 6) for _ in range(600))
    assert waits.pop(0.0) == 100 and len(waits) == 20 and min(waits.values()) >= 24


def test_who_comes_alone_never_waits() -> None:
    now = 0.0
    gate = Turnstile(10.0, lambda: now)
    for _ in range(100):
        now += 1.0
        assert gate.arrive() == 0.0


async def test_strangers_at_an_address_slow_its_devices_down_and_keep_nobody_out() -> None:
    now = 0.0
    arrivals = Arrivals(lambda: now)
    for _ in range(30):
        arrivals.unknown("192.0.2.1")
    waits = [asyncio.create_task(arrivals.wait("192.0.2.1")) for _ in range(1000)]
    for _ in range(3):
        await asyncio.sleep(0)
    refused = [one for one in waits if one.done() and one.exception() is not None]
    assert 500 < len(refused) < 1000, "most are told when to come back"
    async with asyncio.timeout(1):
        await arrivals.wait("192.0.2.2")
    now = 60.0
    async with asyncio.timeout(1):
        await arrivals.wait("192.0.2.1")
    for one in waits:
        one.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


@pytest.mark.parametrize("failures", [0, 5])
async def test_a_few_mistakes_are_no_stranger(failures: int) -> None:
    arrivals = Arrivals(lambda: 0.0)
    for _ in range(failures):
        arrivals.unknown("192.0.2.1")
    async with asyncio.timeout(1):
        await asyncio.gather(*(arrivals.wait("192.0.2.1") for _ in range(100)))
