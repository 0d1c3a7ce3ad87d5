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


def strangers(arrivals: Arrivals, address: str, count: int) -> None:
    for _ in range(count):
        arrivals.unknown(address, waited=not arrivals.strangers_at(address))


async def test_strangers_are_told_apart_by_address_and_take_no_place_from_anybody() -> None:
    now = 0.0
    arrivals = Arrivals(lambda: now)
    for number in range(1000):
        await arrivals.wait()
        arrivals.unknown(f"192.0.2.{number}", waited=True)
    strangers(arrivals, "192.0.2.1", 30)
    assert arrivals.strangers_at("192.0.2.1") and not arrivals.strangers_at("192.0.2.2")
    async with asyncio.timeout(1):
        await asyncio.gather(*(arrivals.wait() for _ in range(100)))
    now = 60.0
    assert not arrivals.strangers_at("192.0.2.1")


def test_a_few_mistakes_are_no_stranger() -> None:
    arrivals = Arrivals(lambda: 0.0)
    strangers(arrivals, "192.0.2.1", 5)
    assert not arrivals.strangers_at("192.0.2.1")


def test_a_device_that_does_nothing_but_connect_is_told_to_come_again_and_others_are_not() -> None:
    now = 0.0
    arrivals = Arrivals(lambda: now)
    for _ in range(60):
        arrivals.again("D1")
    with pytest.raises(Refusal) as refused:
        arrivals.again("D1")
    assert refused.value.status_code == 429 and refused.value.headers == {"Retry-After": "1"}
    arrivals.again("D2")
    now = 1.0
    arrivals.again("D1")
