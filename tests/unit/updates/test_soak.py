"""Whether a new release is judged fit, by what was seen."""

from dataclasses import replace

import pytest
from visantctl.errors import EngineAway
from visantctl.releases.stack import Container
from visantctl.updates.probe import Observation
from visantctl.updates.soak import Baseline, Unfit, all_disturbed, fault, unsettled, watch

CAMERA = Container("camera", "c1", "visant/camera:1.2.0", "sha256:1", "running", "healthy", 0, "t0", (), ())
WELL = Observation((CAMERA,), redis=True, camera="serving", stream=True)
WANTED = {"camera": "sha256:1"}
BOTH = Baseline(camera=True, stream=True)


def seen(**changes: object) -> Observation:
    return replace(WELL, containers=(replace(CAMERA, **changes),))  # type: ignore[arg-type]


def test_nothing_is_wrong_with_a_well_release() -> None:
    assert fault(WANTED, WELL, WELL) is None
    assert unsettled(BOTH, WELL) is None


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (seen(status="restarting"), "camera is restarting"),
        (seen(health="unhealthy"), "camera is unhealthy"),
        (seen(restarts=1), "was restarted"),
        (seen(started_at="t1"), "was restarted"),
        (seen(id="c2"), "was restarted"),
        (seen(image_id="sha256:2"), "another image"),
        (replace(WELL, containers=()), "no container"),
        (replace(WELL, containers=(CAMERA, CAMERA)), "or several"),
    ],
)
def test_a_fault_is_unfit_at_once(now: Observation, said: str) -> None:
    assert said in str(fault(WANTED, WELL, now))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (seen(health="starting"), "still starting"),
        (replace(WELL, unwell=("uploader",)), "uploader is unhealthy"),
        (replace(WELL, redis=False), "Redis"),
        (replace(WELL, camera="silent: refused"), "does not answer"),
        (replace(WELL, camera="degraded: camera_absent"), "worked before"),
        (replace(WELL, stream=False), "had its stream"),
    ],
)
def test_what_worked_before_must_work_again(now: Observation, said: str) -> None:
    assert said in str(unsettled(BOTH, now))


def test_what_was_away_before_may_be_away_after_but_the_camera_service_must_say_so() -> None:
    away = replace(WELL, camera="degraded: camera_absent", stream=False)
    assert unsettled(Baseline.of(away), away) is None
    assert unsettled(Baseline(), replace(away, camera="silent: refused")) is not None


def test_a_stream_that_comes_back_in_time_is_fit() -> None:
    looks = iter([replace(WELL, stream=False)] * 3 + [WELL] * 50)
    watch(lambda: next(looks), WANTED, BOTH, seconds=0.05, settle=10)


def test_a_stream_that_stays_away_is_unfit() -> None:
    with pytest.raises(Unfit, match="stream"):
        watch(lambda: replace(WELL, stream=False), WANTED, BOTH, seconds=0.05, settle=0.2)


def test_an_engine_that_was_restarted_judges_no_release() -> None:
    redis = replace(CAMERA, service="redis", id="r1")
    first = replace(WELL, containers=(CAMERA, redis))
    anew = replace(WELL, containers=(replace(CAMERA, status="exited"), replace(redis, started_at="t1")))
    looks = iter([first, first, anew])
    with pytest.raises(EngineAway):
        watch(lambda: next(looks), {"camera": "", "redis": ""}, BOTH, seconds=0.05, settle=0.2)
    one = replace(WELL, containers=(CAMERA, replace(redis, started_at="t1")))
    assert not all_disturbed({"camera": "", "redis": ""}, first, one)


def test_a_baseline_survives_being_written_down() -> None:
    assert Baseline.read({"camera": True, "stream": False}) == Baseline(camera=True, stream=False)
    assert Baseline.read("damaged") == Baseline()
