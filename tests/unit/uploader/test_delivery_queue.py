"""Which outcome next?"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support.examples import examples
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


@pytest.mark.parametrize(("waited", "fresh"), [(0.0, True), (59.9, True), (60.0, False), (3600.0, False)])
def test_what_is_new_goes_before_all_others_for_sixty_seconds_and_takes_no_turn(waited: float, fresh: bool) -> None:
    queue = DeliveryQueue()
    queue.fill([(1, "oldest"), (2, "older")])
    queue.add("first", now=100.0)
    queue.add("second", now=100.0)
    by_turns = ["second", "oldest", "first", "older"]
    new_first = ["second", "first", "older", "oldest"]  # the newest's turn was not used up
    assert drained(queue, now=100.0 + waited) == (new_first if fresh else by_turns)


def test_what_was_tried_once_is_new_no_more() -> None:
    """Else one that fails again and again, within its minute, would keep all others waiting."""
    queue = DeliveryQueue()
    queue.fill([(1, "oldest"), (2, "older")])
    queue.add("new", now=0.0)
    assert queue.pop(0.0) == "new"
    queue.later("new", until=1.0)
    assert queue.pop(1.0) == "new"  # as the newest
    queue.later("new", until=2.0)
    assert queue.pop(1.0) == "older"
    assert queue.pop(2.0) == "oldest"
    assert queue.pop(2.0) == "new"


def test_what_waited_keeps_its_place_by_age() -> None:
    queue = DeliveryQueue()
    queue.fill([(1, "a"), (2, "b")])
    queue.add("c", now=0.0)
    queue.add("d", now=0.0)
    assert [queue.pop(0.0) for _ in range(3)] == ["d", "c", "b"]
    for name in ("b", "d", "c"):
        queue.later(name, until=5.0)
    assert drained(queue, now=5.0) == ["d", "a", "c", "b"]


def test_after_waking_newest_and_oldest_go_by_turns_again() -> None:
    queue = DeliveryQueue()
    queue.fill([(number, f"n{number}") for number in range(4)])
    for wait in (1.0, 4.0, 2.0, 3.0):
        queue.later(str(queue.pop(0.0)), until=wait)
    queue.wake()
    assert drained(queue) == ["n3", "n0", "n2", "n1"]


def test_pictures_of_another_folder_are_older_than_what_came_meanwhile() -> None:
    queue = DeliveryQueue()
    queue.add("meanwhile", now=0.0)
    queue.fill([(7, "b"), (5, "a")])
    assert drained(queue, now=FRESH) == ["meanwhile", "a", "b"]


def test_what_ended_before_its_turn_is_passed_over() -> None:
    queue = DeliveryQueue()
    for name in ("a", "b", "c"):
        queue.add(name, now=0.0)
    assert queue.pop(0.0) == "c"
    queue.later("c", until=1.0)
    queue.done("b")
    queue.done("c")
    assert drained(queue, now=1.0) == ["a"]


def test_what_ended_while_it_waited_does_not_come_back_by_waking() -> None:
    queue = DeliveryQueue()
    queue.fill([(1, "a"), (2, "b")])
    queue.later(str(queue.pop(0.0)), until=9.0)
    queue.done("b")
    queue.wake()
    assert drained(queue) == ["a"]


def test_what_ended_before_its_turn_is_not_new_when_it_comes_again() -> None:
    queue = DeliveryQueue()
    queue.add("again", now=0.0)
    queue.done("again")
    queue.fill([(1, "oldest"), (2, "older"), (3, "again")])
    assert [queue.pop(0.0), queue.pop(0.0)] == ["again", "oldest"]  # by turns


def test_a_new_one_that_must_wait_gives_back_no_turn_of_its_first_life() -> None:
    queue = DeliveryQueue()
    queue.fill([(1, "oldest"), (2, "older"), (3, "again")])
    assert queue.pop(0.0) == "again"
    queue.done("again")
    queue.add("again", now=0.0)
    assert queue.pop(0.0) == "again"
    queue.later("again", until=9.0)
    assert queue.pop(0.0) == "oldest"


def test_it_tells_what_it_knows_and_when_to_ask_again() -> None:
    queue = DeliveryQueue()
    assert (len(queue), "a" in queue, queue.next_due(3.0)) == (0, False, None)
    queue.add("a", now=3.0)
    queue.add("a", now=3.0)  # a second word on the same file
    assert (len(queue), "a" in queue, queue.next_due(3.0)) == (1, True, 3.0)
    assert queue.pop(3.0) == "a"
    assert ("a" in queue, queue.next_due(3.0)) == (True, None)
    queue.later("a", until=7.5)
    assert queue.next_due(3.0) == 7.5
    queue.clear()
    assert (len(queue), "a" in queue, queue.next_due(9.0), queue.pop(9.0)) == (0, False, None, None)


def test_an_upload_from_before_another_cloud_is_handed_out_no_second_time_when_the_first_is_back() -> None:
    queue = DeliveryQueue()
    folder = [(1, "a"), (2, "b")]
    queue.fill(folder)
    assert queue.pop(0.0) == "b"
    queue.clear()  # another cloud, and the first again, while b is still being sent
    queue.fill(folder)
    queue.add("b", now=0.0)
    assert [queue.pop(0.0), queue.pop(0.0)] == ["a", None]
    queue.later("b", until=5.0)
    assert [queue.pop(9.0), queue.pop(9.0)] == ["b", None]
    queue.clear()
    queue.fill(folder)
    queue.done("b")  # delivered after all
    queue.later("a", until=5.0)
    assert drained(queue, now=9.0) == ["a"]


def test_what_waits_when_another_cloud_comes_is_handed_out_again_when_the_first_is_back() -> None:
    queue = DeliveryQueue()
    queue.fill([(1, "a")])
    queue.later(str(queue.pop(0.0)), until=9.0)
    queue.clear()
    queue.fill([(1, "a")])
    assert queue.pop(0.0) == "a"


def test_what_is_sent_while_its_folder_is_left_does_not_come_back() -> None:
    queue = DeliveryQueue()
    queue.add("a", now=0.0)
    assert queue.pop(0.0) == "a"
    queue.clear()
    queue.later("a", until=1.0)
    assert (len(queue), queue.pop(9.0), queue.next_due(9.0)) == (0, None, None)


def test_waking_leaves_the_waits_that_are_longer_than_asked() -> None:
    queue = DeliveryQueue()
    queue.fill([(number, f"n{number}") for number in range(3)])
    for until in (10.0, 300.0, 20.0):
        queue.later(str(queue.pop(0.0)), until=until)
    queue.wake(before=300.0)
    assert [queue.pop(0.0), queue.pop(0.0), queue.pop(0.0)] == ["n2", "n0", None]
    assert queue.next_due(0.0) == 300.0


def test_waking_all_but_some_leaves_those_their_waits() -> None:
    queue = DeliveryQueue()
    queue.fill([(number, name) for number, name in enumerate("abc")])
    for name in [str(queue.pop(0.0)) for _ in "abc"]:
        queue.later(name, until=5.0)
    queue.wake(but={"b"})
    assert sorted(drained(queue)) == ["a", "c"] and queue.next_due(0.0) == 5.0


def test_waking_some_leaves_the_others_in_the_order_of_their_times() -> None:
    queue = DeliveryQueue()
    waits = {"a": 1.0, "b": 500.0, "c": 2.0, "d": 900.0, "e": 600.0, "f": 3.0, "g": 4.0, "h": 950.0, "i": 700.0}
    queue.fill([(number, name) for number, name in enumerate(waits)])
    for name in [str(queue.pop(0.0)) for _ in waits]:
        queue.later(name, until=waits[name])
    queue.wake(before=100.0)
    assert sorted(drained(queue)) == ["a", "c", "f", "g"]
    for name in sorted("bdehi", key=lambda name: waits[name]):
        assert queue.next_due(0.0) == waits[name]
        assert queue.pop(waits[name]) == name


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

    @rule()
    def clear(self) -> None:
        """Another cloud; what was handed out is still being sent."""
        self.queue.clear()
        self.known.clear()

    @invariant()
    def all_are_known(self) -> None:
        assert len(self.queue) == len(self.known)

    def teardown(self) -> None:
        self.queue.wake()
        left = set()
        while (name := self.queue.pop(self.now)) is not None:
            left.add(name)
        assert left == self.known - self.taken


Model.TestCase.settings = settings(deadline=None, max_examples=examples(60), stateful_step_count=40)
TestDeliveryQueue = Model.TestCase
