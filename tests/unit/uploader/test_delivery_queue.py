"""Which outcome next?"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from visant_uploader.delivery.queue import FRESH, DeliveryQueue


def drained(queue: DeliveryQueue, now: float = 0.0) -> list[str]:
    names = []
    while (name := queue.pop(now)) is not None:
        names.append(name)
        queue.done(name)
    return names


def test_newest_and_oldest_go_by_turns() -> None:
    queue = DeliveryQueue()
    queue.fill([(number * 10, f"n{number}") for number in range(6)])
    assert drained(queue) == ["n5", "n0", "n4", "n1", "n3", "n2"]


def test_a_new_outcome_goes_before_three_thousand_old_ones() -> None:
    queue = DeliveryQueue()
    queue.fill([(number, f"old{number}") for number in range(3000)])
    for turn in range(5):
        queue.add(f"new{turn}", now=100.0)
        assert queue.pop(100.0) == f"new{turn}"
        assert str(queue.pop(100.0)).startswith("old")


def test_a_new_outcome_is_the_newest_even_when_the_clock_went_back() -> None:
    queue = DeliveryQueue()
    queue.fill([(2**62, "from-the-future")])
    queue.add("now", now=0.0)
    assert queue.pop(0.0) == "now"


@pytest.mark.parametrize("accepted", [1, 2, 3, 5])
def test_a_cloud_that_takes_a_few_and_refuses_one_gets_newest_and_oldest_alike(accepted: int) -> None:
    queue = DeliveryQueue()
    queue.fill([(number, f"n{number:03}") for number in range(100)])
    delivered: list[str] = []
    for now in range(60):  # each second some are taken, then one is told to come again a moment later
        for _ in range(accepted):
            if (name := queue.pop(now)) is not None:
                delivered.append(name)
                queue.done(name)
        if (refused := queue.pop(now)) is not None:
            queue.later(refused, now + 0.9)
    newest = sum(name >= "n050" for name in delivered[:40])
    assert newest in range(18, 23), delivered[:40]


def test_it_is_new_for_a_minute_only() -> None:
    queue = DeliveryQueue()
    queue.fill([(1, "old")])
    queue.add("a", now=0.0)
    queue.add("b", now=0.0)
    queue.add("c", now=0.0)
    assert drained(queue, now=FRESH + 1) == ["c", "old", "b", "a"]


def test_what_waits_is_passed_over_until_its_time() -> None:
    queue = DeliveryQueue()
    queue.fill([(1, "a"), (2, "b")])
    assert queue.pop(0.0) == "b"
    queue.later("b", until=10.0)
    assert queue.pop(0.0) == "a"
    assert queue.pop(9.0) is None and queue.next_due(9.0) == 10.0
    assert queue.pop(10.0) == "b"


def test_waking_ends_every_wait() -> None:
    queue = DeliveryQueue()
    queue.fill([(1, "a"), (2, "b")])
    for _ in range(2):
        queue.later(str(queue.pop(0.0)), until=1e9)
    queue.wake()
    assert sorted(drained(queue)) == ["a", "b"]


def test_a_look_into_the_folder_does_not_forget_what_came_meanwhile() -> None:
    queue = DeliveryQueue()
    queue.add("meanwhile", now=0.0)
    queue.fill([(1, "a"), (2, "meanwhile")])
    assert drained(queue) == ["meanwhile", "a"]


class Model(RuleBasedStateMachine):
    """Against a plain set: nothing is lost, nothing is handed out twice at once."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = DeliveryQueue()
        self.known: set[str] = set()
        self.taken: set[str] = set()
        self.now = 0.0
        self.number = 0

    @rule(count=st.integers(0, 5))
    def fill(self, count: int) -> None:
        found = [(number, f"old{number}") for number in range(count)]
        self.known |= {name for _, name in found}
        self.queue.fill(found)

    @rule()
    def add(self) -> None:
        self.number += 1
        self.known.add(f"new{self.number}")
        self.queue.add(f"new{self.number}", self.now)

    @rule()
    def pop(self) -> None:
        name = self.queue.pop(self.now)
        if name is not None:
            assert name in self.known and name not in self.taken
            self.taken.add(name)

    @rule(wait=st.floats(0, 100))
    def later(self, wait: float) -> None:
        if self.taken:
            self.queue.later(self.taken.pop(), self.now + wait)

    @rule()
    def done(self) -> None:
        if self.taken:
            name = self.taken.pop()
            self.known.discard(name)
            self.queue.done(name)

    @rule(step=st.floats(0, 100))
    def time_passes(self, step: float) -> None:
        self.now += step

    @rule()
    def wake(self) -> None:
        self.queue.wake()

    @invariant()
    def all_are_known(self) -> None:
        assert len(self.queue) == len(self.known)

    def teardown(self) -> None:
        self.queue.wake()
        left = set()
        while (name := self.queue.pop(self.now)) is not None:
            left.add(name)
        assert left == self.known - self.taken


Model.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)
TestDeliveryQueue = Model.TestCase
