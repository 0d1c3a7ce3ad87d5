"""The next step from whatever state: every rule of the plan is one case."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from visantctl.updates.pending import Pending
from visantctl.updates.plan import Act, Present, Step, next_step

UPDATE = Pending(candidate="1.2.0", good="1.1.0", older="1.0.0", baseline={}, phase="soaking")
BACK = replace(UPDATE, phase="rolling_back", reason="unhealthy", blame="yes")
ALL_HERE = dict.fromkeys(("1.0.0", "1.1.0", "1.2.0"))
DAMAGED = "release.json is not JSON"


def present(
    pending: Pending | None = None,
    *,
    good: str | None = "1.1.0",
    previous: str | None = "1.0.0",
    whole: Mapping[str, str | None] = ALL_HERE,
    without_images: tuple[str, ...] = (),
    **more: Any,
) -> Present:
    return Present(
        pending=pending,
        good=good,
        previous=previous,
        whole=whole,
        has_images=lambda version: version not in without_images,
        **{"lost": {}, "interruptions": 0, "candidate_runs": False, **more},
    )


def test_the_good_release_starts() -> None:
    assert next_step(present()) == Step(Act.START, "1.1.0")


def test_its_images_come_first() -> None:
    assert next_step(present(without_images=("1.1.0",))) == Step(Act.OBTAIN, "1.1.0")


def test_one_that_is_damaged_starts_where_its_images_are_here() -> None:
    assert next_step(present(whole={"1.1.0": DAMAGED})) == Step(Act.START, "1.1.0")


@pytest.mark.parametrize(
    "why", [{"lost": {"1.1.0": "no network"}}, {"whole": {**ALL_HERE, "1.1.0": DAMAGED}}], ids=["lost", "damaged"]
)
def test_where_its_images_cannot_be_had_the_one_before_starts(why: dict[str, Any]) -> None:
    assert next_step(present(without_images=("1.1.0",), **why)) == Step(Act.START, "1.0.0")
    assert next_step(present(without_images=("1.1.0", "1.0.0"), **why)) == Step(Act.OBTAIN, "1.0.0")


def test_what_is_stuck_says_why() -> None:
    lost = {"1.1.0": "no network", "1.0.0": "no network either"}
    step = next_step(present(without_images=("1.1.0", "1.0.0"), lost=lost))
    assert step == Step(Act.STUCK, "1.1.0", "1.1.0 cannot run: no network")
    assert next_step(present(whole={}, previous=None)).reason == "1.1.0 cannot run: its files are gone"
    step = next_step(present(whole={"1.1.0": DAMAGED}, without_images=("1.1.0",)))
    assert step.reason == f"1.1.0 cannot run: {DAMAGED}"


def test_without_a_good_release_nothing_starts() -> None:
    assert next_step(present(good=None)) == Step(Act.STUCK, None, "no release is installed here")


@pytest.mark.parametrize("phase", ["switching", "soaking"])
def test_an_interrupted_update_is_proved_where_its_candidate_runs(phase: Any) -> None:
    pending = replace(UPDATE, phase=phase)
    assert next_step(present(pending, candidate_runs=True, interruptions=2)) == Step(Act.PROVE, "1.2.0")
    assert next_step(present(pending, interruptions=1)) == Step(Act.GO_BACK, "1.1.0", "interrupted", "no")
    assert next_step(present(pending, interruptions=2)) == Step(Act.GO_BACK, "1.1.0", "interrupted twice", "yes")


def test_a_verdict_is_finished() -> None:
    assert next_step(present(replace(UPDATE, phase="committing"))) == Step(Act.COMMIT, "1.2.0")
    assert next_step(present(UPDATE, good="1.2.0")) == Step(Act.COMMIT, "1.2.0")
    assert next_step(present(BACK, candidate_runs=True)) == Step(Act.GO_BACK, "1.1.0", "unhealthy", "yes")


@pytest.mark.parametrize("here", [{"1.2.0": DAMAGED}, {}], ids=["damaged", "gone"])
def test_a_candidate_whose_files_are_damaged_is_not_finished(here: dict[str, str | None]) -> None:
    whole = {"1.0.0": None, "1.1.0": None, **here}
    step = next_step(present(replace(UPDATE, phase="committing"), whole=whole))
    assert (step.act, step.version, step.blame) == (Act.GO_BACK, "1.1.0", "no")
    assert step.reason == f"cannot be finished: {here.get('1.2.0', 'its files are gone')}"
    assert next_step(present(UPDATE, whole=whole, good="1.2.0")).act is Act.CLOSE


def test_images_of_what_it_goes_back_to_come_first() -> None:
    step = next_step(present(BACK, without_images=("1.1.0",)))
    assert (step.act, step.version) == (Act.OBTAIN, "1.1.0")


def test_where_they_cannot_be_had_it_goes_back_one_more() -> None:
    lost = {"1.1.0": "no network"}
    step = next_step(present(BACK, without_images=("1.1.0",), lost=lost))
    assert step == Step(Act.GO_BACK, "1.0.0", "unhealthy", "yes")
    assert next_step(present(BACK, without_images=("1.1.0", "1.0.0"), lost=lost)).act is Act.OBTAIN


def test_else_the_candidate_is_held() -> None:
    none = {"1.1.0": "no network", "1.0.0": "no network"}
    step = next_step(present(BACK, without_images=("1.1.0", "1.0.0"), lost=none))
    assert step == Step(Act.HOLD, "1.2.0", "unhealthy", "yes")
    step = next_step(present(BACK, without_images=tuple(ALL_HERE), lost=none))
    assert step == Step(Act.STUCK, "1.1.0", "1.1.0 cannot run: no network")
    step = next_step(present(BACK, whole={}))
    assert step.act is Act.STUCK


def test_a_first_installation_goes_back_to_nothing() -> None:
    pending = replace(BACK, good=None, older=None)
    assert next_step(present(pending, good=None)) == Step(Act.GO_BACK, None, "unhealthy", "yes")


def test_a_step_without_a_release_has_none_to_give() -> None:
    assert Step(Act.START, "1.1.0").required == "1.1.0"
    with pytest.raises(AssertionError):
        _ = Step(Act.GO_BACK, None).required
