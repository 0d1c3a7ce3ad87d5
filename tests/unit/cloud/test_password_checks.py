"""Guessing is slow, checking is bounded, and neither keeps the operator out."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from visant_cloud.access import credentials
from visant_cloud.access.password_checks import PasswordChecks
from visant_cloud.access.rate_limits import RateLimits
from visant_cloud.problems import Refusal

HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"


class Guarded:
    """Password checks against one operator, Ada, by a clock that tests move; 429 and 503 are words."""

    def __init__(self) -> None:
        self.now = 0.0
        self.checks = PasswordChecks(lambda: self.now)
        self.asked = 0
        self.waits: list[int] = []

    async def try_(self, name: str, address: str, password: str = "wrong") -> str:
        async def kept() -> str | None:
            self.asked += 1
            return "hash" if name == "Ada" else None

        try:
            return "right" if await self.checks.check(name, address, kept, password) else "wrong"
        except Refusal as refusal:
            self.waits.append(int((refusal.headers or {})["Retry-After"]))
            return str(refusal.status_code)


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Guarded:
    monkeypatch.setattr(credentials, "verify_password", lambda kept, password: kept is not None and password == "right")
    return Guarded()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Checks take until this is set."""
    done, at_once = threading.Event(), 0

    def verify(kept: str | None, password: str) -> bool:
        nonlocal at_once
        at_once += 1
        assert at_once == 1, "two at a time"
        done.wait(60)
        at_once -= 1
        return kept is not None and password == "right"

    monkeypatch.setattr(credentials, "verify_password", verify)
    yield done
    done.set()


async def test_ten_wrong_passwords_lock_the_name_here_and_nobody_elsewhere(guarded: Guarded) -> None:
    assert [await guarded.try_("Ada", HOME) for _ in range(12)] == ["wrong"] * 10 + ["429"] * 2
    assert await guarded.try_("Ada", HOME, "right") == "429"
    assert await guarded.try_("Ada", ELSEWHERE, "right") == "right"
    assert guarded.waits == [30, 30, 30]
    assert await guarded.try_("Eve", HOME) == "wrong", "another name at the same address goes on"
    guarded.now += 30
    assert await guarded.try_("ADA", HOME) == "wrong"
    assert await guarded.try_("ada", HOME) == "429", "however the name is written"


async def test_a_name_that_nobody_has_is_treated_as_one_that_somebody_has(guarded: Guarded) -> None:
    for name in ("Ada", "Nobody"):
        answers = [await guarded.try_(name, f"{ELSEWHERE}/{name}") for _ in range(12)]
        assert answers == ["wrong"] * 10 + ["429"] * 2
    assert guarded.asked == 20, "whoever is told to wait costs no read"


async def test_junk_names_are_slowed_by_their_address_and_make_nothing_forgotten(guarded: Guarded) -> None:
    guarded.checks._here = RateLimits(1 / 30, 10, lambda: guarded.now, keys=50)
    for _ in range(10):
        await guarded.try_("Ada", HOME)
    assert [await guarded.try_(f"junk {n}", ELSEWHERE) for n in range(31)] == ["wrong"] * 30 + ["429"]
    for number in range(200):
        await guarded.try_(f"junk {number}", f"2001:db8:{number:x}::/64")
    assert await guarded.try_("Ada", HOME, "right") == "429"


async def test_who_guesses_one_name_from_many_addresses_is_slowed_and_whoever_was_right_before_is_not(
    guarded: Guarded,
) -> None:
    assert await guarded.try_("Ada", HOME, "right") == "right"
    answers = [await guarded.try_("Ada", f"192.0.2.{n}") for n in range(210)]
    assert answers.count("wrong") == 199 and answers[-1] == "429"
    assert await guarded.try_("Ada", HOME, "right") == "right"
    guarded.now += 30
    assert [await guarded.try_("Ada", f"198.18.0.{n}") for n in range(2)] == ["wrong", "429"]


async def test_the_right_password_is_no_guess(guarded: Guarded) -> None:
    for _ in range(25):
        assert await guarded.try_("Ada", HOME, "right") == "right"


async def test_one_check_at_a_time_and_few_wait_of_one_address_and_of_all(
    guarded: Guarded, slow: threading.Event
) -> None:
    def waiting(address: str, count: int) -> list[asyncio.Task[str]]:
        return [asyncio.create_task(guarded.try_(f"junk {n}", address)) for n in range(count)]

    first = waiting(HOME, 10)
    await asyncio.sleep(0)
    assert sum(one.done() for one in first) == 6, "its address has four places"
    operator = asyncio.create_task(guarded.try_("Ada", ELSEWHERE, "right"))
    others = [one for n in range(10) for one in waiting(f"192.0.2.{n}", 2)]
    for _ in range(3):
        await asyncio.sleep(0)
    refused = [one for one in (*first, *others) if one.done()]
    assert {one.result() for one in refused} == {"503"} and len(refused) == 6 + 20 - 11
    assert await guarded.try_("Ada", HOME, "right") == "503"
    slow.set()
    assert await operator == "right"
    assert {await one for one in others} == {"wrong", "503"}
    assert await guarded.try_("Ada", HOME, "right") == "right", "who was refused for want of room has not guessed"
