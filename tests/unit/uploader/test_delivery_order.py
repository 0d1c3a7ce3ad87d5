"""Which outcome next?"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from visant_uploader.delivery.queue import FRESH, DeliveryOrder


def drained(order: DeliveryOrder, now: float = 0.0) -> list[str]:
    names = []
    while (name := order.take(now)) is not None:
        names.append(name)
        order.done(name)
    return names


def test_newest_and_oldest_go_by_turns() -> None:
    order = DeliveryOrder()
    order.fill([(number * 10, f"n{number}") for number in range(6)])
    assert drained(order) == ["n5", "n0", "n4", "n1", "n3", "n2"]


def test_a_new_outcome_goes_before_three_thousand_old_ones() -> None:
    order = DeliveryOrder()
    order.fill([(number, f"old{number}") for number in range(3000)])
    for turn in range(5):
        order.add(f"new{turn}", now=100.0)
        assert order.take(100.0) == f"new{turn}"
        assert str(order.take(100.0)).startswith("old")


def test_a_new_outcome_is_the_newest_even_when_the_clock_went_back() -> None:
    order = DeliveryOrder()
    order.fill([(2**62, "from-the-future")])
    order.add("now", now=0.0)
    assert order.take(0.0) == "now"


@pytest.mark.parametrize("accepted", [1, 2, 3, 5])
def test_a_cloud_that_takes_a_few_and_refuses_one_gets_newest_and_oldest_alike(accepted: int) -> None:
    order = DeliveryOrder()
    order.fill([(number, f"n{number:03}") for number in range(100)])
    delivered: list[str] = []
    for now in range(60):  # each second some are taken, then one is told to come again a moment later
        for _ in range(accepted):
            if (name := order.take(now)) is not None:
                delivered.append(name)
                order.done(name)
        if (refused := order.take(now)) is not None:
            order.later(refused, now + 0.9)
    newest = sum(name >= "n050" for name in delivered[:40])
    assert newest in range(18, 23), delivered[:40]


def test_it_is_new_for_a_minute_only() -> None:
    order = DeliveryOrder()
    order.fill([(1, "old")])
    order.add("a", now=0.0)
    order.add("b", now=0.0)
    order.add("c", now=0.0)
    assert drained(order, now=FRESH + 1) == ["c", "old", "b", "a"]


def test_what_waits_is_passed_over_until_its_time() -> None:
    order = DeliveryOrder()
    order.fill([(1, "a"), (2, "b")])
    assert order.take(0.0) == "b"
    order.later("b", until=10.0)
    assert order.take(0.0) == "a"
    assert order.take(9.0) is None and order.next_due(9.0) == 10.0
    assert order.take(10.0) == "b"


def test_waking_ends_every_wait() -> None:
    order = DeliveryOrder()
    order.fill([(1, "a"), (2, "b")])
    for _ in range(2):
        order.later(str(order.take(0.0)), until=1e9)
    order.wake()
    assert sorted(drained(order)) == ["a", "b"]


def test_a_look_into_the_folder_does_not_forget_what_came_meanwhile() -> None:
    order = DeliveryOrder()
    order.add("meanwhile", now=0.0)
    order.fill([(1, "a"), (2, "meanwhile")])
    assert drained(order) == ["meanwhile", "a"]


class Model(RuleBasedStateMachine):
    """Against a plain set: nothing is lost, nothing is handed out twice at once."""

    def __init__(self) -> None:
        super().__init__()
        self.order = DeliveryOrder()
        self.known: set[str] = set()
        self.taken: set[str] = set()
        self.now = 0.0
        self.number = 0

    @rule(count=st.integers(0, 5))
    def fill(self, count: int) -> None:
        found = [(number, f"old{number}") for number in range(count)]
        self.known |= {name for _, name in found}
        self.order.fill(found)

    @rule()
    def add(self) -> None:
        self.number += 1
        self.known.add(f"new{self.number}")
        self.order.add(f"new{self.number}", self.now)

    @rule()
    def take(self) -> None:
        name = self.order.take(self.now)
        if name is not None:
            assert name in self.known and name not in self.taken
            self.taken.add(name)

    @rule(wait=st.floats(0, 100))
    def later(self, wait: float) -> None:
        if self.taken:
            self.order.later(self.taken.pop(), self.now + wait)

    @rule()
    def done(self) -> None:
        if self.taken:
            name = self.taken.pop()
            self.known.discard(name)
            self.order.done(name)

    @rule(step=st.floats(0, 100))
    def time_passes(self, step: float) -> None:
        self.now += step

    @rule()
    def wake(self) -> None:
        self.order.wake()

    @invariant()
    def all_are_known(self) -> None:
        assert len(self.order) == len(self.known)

    def teardown(self) -> None:
        self.order.wake()
        left = set()
        while (name := self.order.take(self.now)) is not None:
            left.add(name)
        assert left == self.known - self.taken


Model.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)
TestDeliveryOrder = Model.TestCase
