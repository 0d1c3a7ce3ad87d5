"""What is said of pictures: figures, a device's own normal, verdicts."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from tests.bench.quality.scenes import DAY, HOUR, MONDAY, Camera
from visant_cloud.quality import judge as judging
from visant_cloud.quality import mask, normal, views
from visant_cloud.quality.block import SIZE, TILES, Figures, scalars, unpack
from visant_cloud.quality.judge import STATES, Memory, Verdict, judge
from visant_cloud.quality.measure import measure
from visant_cloud.quality.remedies import REMEDIES

Shown = NDArray[np.uint8]
PICTURE = "320x180"


def figures(shown: Shown) -> Figures:
    return measure(Image.fromarray(shown))


@dataclass
class Watched:
    """A camera whose normal is known, at ten o'clock of its 12th day."""

    camera: Camera
    memory: Memory
    at: float

    def see(self, shown: Shown) -> Verdict:
        verdict, self.memory = judge(figures(shown), PICTURE, self.at, self.memory)
        self.at += HOUR
        return verdict

    def again(self) -> "Watched":
        return Watched(copy.deepcopy(self.camera), self.memory, self.at)


@pytest.fixture(scope="module")
def known() -> Watched:
    camera, memory, at = Camera(8), Memory(), MONDAY  # a street
    while at < MONDAY + 11 * DAY + 10 * HOUR:
        verdict, memory = judge(figures(camera.picture(at)), PICTURE, at, memory)
        assert verdict.state == "useful", verdict
        at += 2 * HOUR
    return Watched(camera, memory, at)


@pytest.fixture
def watched(known: Watched) -> Watched:
    return known.again()


def noise(camera: Camera, level: float, sigma: float = 2.0) -> Shown:
    random = np.random.default_rng(int(level * 100))
    return np.clip(random.normal(level, sigma, (180, 320)), 0, 255).astype(np.uint8)


def test_a_block_says_what_was_measured_and_has_one_size() -> None:
    for size in ((1, 1), (3, 900), (64, 48), (320, 180), (5000, 20)):
        found = measure(Image.effect_noise(size, 40))
        assert len(found.pack()) == SIZE and unpack(found.pack()) == found
    with pytest.raises(ValueError, match="bytes"):
        unpack(b"x")
    with pytest.raises(ValueError, match="noise"):
        unpack(b"\xff" * SIZE)


def test_figures_are_what_they_are_called(watched: Watched) -> None:
    shown = watched.camera.picture(watched.at)
    plain = scalars(figures(shown))
    soft = np.asarray(Image.fromarray(shown).filter(ImageFilter.GaussianBlur(2)))
    blurred = scalars(figures(soft))
    assert plain.sharpness is not None
    assert plain.luminance == pytest.approx(float(shown.mean()), abs=2)
    assert blurred.sharpness is None or blurred.sharpness < plain.sharpness / 2
    for sigma in (1.0, 3.0, 8.0):
        flat = scalars(figures(noise(watched.camera, 128, sigma)))
        assert flat.noise == pytest.approx(sigma, rel=0.25), "of flat noise it is its deviation"
        assert flat.sharpness is None, "noise is no detail"
    half = np.zeros((180, 320), np.uint8)
    half[:, 160:] = 255
    found = scalars(figures(half))
    assert found.dark == pytest.approx(0.5, abs=0.01) and found.bright == pytest.approx(0.5, abs=0.01)
    assert scalars(figures(half), [tile for tile in range(TILES) if tile % 8 < 4]).bright == 0


def test_alike_pictures_have_hashes_that_differ_in_few_bits(watched: Watched) -> None:
    one, two, other = (figures(cam.picture(watched.at)).hash for cam in (watched.camera, watched.camera, Camera(4)))
    assert (one ^ two).bit_count() < 12 < (one ^ other).bit_count()


def test_a_cover_and_a_knock_are_told_with_the_second_picture(watched: Watched) -> None:
    knocked = watched.again()
    assert watched.see(noise(watched.camera, 90)).state == "useful", "one picture is no verdict"
    second = watched.see(noise(watched.camera, 91))
    assert second.state == "covered" and second.score < 0.5 and "detail" in second.reason
    knocked.camera.pose = (45.0, -20.0, 6.0)
    first, second = (knocked.see(knocked.camera.picture(knocked.at)) for _ in range(2))
    assert first.state == "useful" and first.score < 0.5 and "may be moved" in first.reason
    assert second.state == "moved"


def test_a_verdict_stays_until_a_picture_shows_that_it_is_over(watched: Watched) -> None:
    for level in (90, 91):
        watched.see(noise(watched.camera, level))
    assert watched.memory.state == "covered"
    assert watched.see(noise(watched.camera, 5)).state == "covered", "in the dark nobody sees that it is gone"
    assert watched.see(watched.camera.picture(watched.at)).state == "useful"


def test_somebody_who_passes_right_before_the_lens_is_no_verdict(watched: Watched) -> None:
    random = np.random.default_rng(5)
    for _ in range(4):
        coat = random.integers(0, 255, (9, 16), dtype=np.uint8)
        body = np.asarray(Image.fromarray(coat).resize((320, 180), Image.Resampling.BICUBIC))
        verdict = watched.see(body)
        assert verdict.state == "useful" and verdict.score < 0.5, verdict
        assert watched.see(watched.camera.picture(watched.at)).state == "useful"


def test_two_odd_pictures_within_two_minutes_are_not_yet_a_verdict(watched: Watched) -> None:
    for seconds in (0.0, 10.0, 20.0, 119.0):
        verdict, watched.memory = judge(
            figures(noise(watched.camera, 80 + seconds)), PICTURE, watched.at + seconds, watched.memory
        )
        assert verdict.state == "useful"
    verdict, _ = judge(figures(noise(watched.camera, 70)), PICTURE, watched.at + 121, watched.memory)
    assert verdict.state == "covered"


def test_what_is_the_same_to_the_last_bit_is_frozen_and_a_still_scene_is_not(watched: Watched) -> None:
    watched.camera.pose = (0.0, 0.0, 0.0)
    seen = watched.camera.radiance(watched.at)
    still = [watched.camera.expose(seen) for _ in range(4)]
    assert [watched.see(one).state for one in still] == ["useful"] * 4, "its noise is another each time"
    assert watched.see(still[-1]).state == "frozen"
    assert watched.see(watched.camera.picture(watched.at)).state == "useful"
    stamped = watched.camera.picture(watched.at)
    watched.see(stamped)
    later = stamped.copy()
    later[2:12, 2:60] = 200
    assert watched.see(later).state == "frozen", "the time that is written into it goes on"


def test_black_pictures_are_not_frozen_for_they_have_no_noise_to_differ_in() -> None:
    memory, black = Memory(), figures(np.zeros((180, 320), np.uint8))
    for slot in range(5):
        verdict, memory = judge(black, PICTURE, MONDAY + slot * HOUR, memory)
        assert verdict.state == "useful" and "normal is known" in verdict.reason


def test_night_is_normal_where_it_is_night(known: Watched) -> None:
    low = normal.expected(known.memory.normal, MONDAY + 2 * HOUR)
    assert low is not None
    watched = known.again()
    watched.at = MONDAY + 12 * DAY + 2 * HOUR
    assert watched.see(watched.camera.picture(watched.at)).state == "useful"


def test_too_dark_and_too_bright_are_told_with_the_third_picture(watched: Watched) -> None:
    bright = watched.again()
    states = [
        watched.see(watched.camera.expose(watched.camera.radiance(watched.at), gain=0.01)).state for _ in range(3)
    ]
    assert states[:1] == ["useful"] and states[-1] in ("dark", "covered")
    states = [bright.see(bright.camera.expose(bright.camera.radiance(bright.at), gain=60)).state for _ in range(3)]
    assert states == ["useful", "useful", "bright"]


def test_focus_is_told_after_four_pictures_and_six_hours(watched: Watched) -> None:
    def soft() -> Shown:
        shown = Image.fromarray(watched.camera.expose(watched.camera.radiance(watched.at), noise=0.3))
        return np.asarray(shown.filter(ImageFilter.GaussianBlur(2.5)))

    states = [watched.see(soft()).state for _ in range(7)]
    assert states == ["useful"] * 6 + ["blurred"]


def test_a_dismissed_verdict_is_over_and_does_not_come_again(watched: Watched) -> None:
    for level in (90, 91):
        watched.see(noise(watched.camera, level))
    watched.memory = judging.taught(watched.memory, figures(noise(watched.camera, 91)), watched.at, "covered")
    assert watched.memory.state == "useful"
    assert [watched.see(noise(watched.camera, level)).state for level in (92, 93, 94)] == ["useful"] * 3
    watched.camera.pose = (-40.0, 10.0, 3.0)
    for _ in range(2):
        verdict = watched.see(watched.camera.picture(watched.at))
    assert verdict.state == "moved"
    shown = watched.camera.picture(watched.at)
    watched.memory = judging.taught(watched.memory, figures(shown), watched.at, "moved")
    assert [watched.see(watched.camera.picture(watched.at)).state for _ in range(2)] == ["useful"] * 2


def test_where_pictures_do_not_change_a_person_says_so_once() -> None:
    chart = figures(np.asarray(Image.effect_noise((320, 180), 60)))
    memory = Memory()
    for slot in range(2):
        verdict, memory = judge(chart, PICTURE, MONDAY + slot * HOUR, memory)
    assert verdict.state == "frozen"
    memory = judging.taught(memory, chart, MONDAY, "frozen")
    for slot in range(2, 5):
        verdict, memory = judge(chart, PICTURE, MONDAY + slot * HOUR, memory)
        assert verdict.state == "useful"


def test_a_reference_is_what_the_scene_should_look_like_from_the_first_picture_on(watched: Watched) -> None:
    memory = judging.referred(Memory(), figures(watched.camera.picture(watched.at)), watched.at)
    watched.memory = memory
    assert watched.see(watched.camera.picture(watched.at)).state == "useful"
    watched.camera.pose = (45.0, -20.0, 6.0)
    assert [watched.see(watched.camera.picture(watched.at)).state for _ in range(2)] == ["useful", "moved"]
    assert judging.without_reference(watched.memory).reference is None


def test_what_is_masked_does_not_count(watched: Watched) -> None:
    left = frozenset(mask.covered([[(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]]))
    assert left == {tile for tile in range(TILES) if tile % 8 < 4}
    watched.memory = judging.masked(watched.memory, left)
    for slot in range(30):
        shown = watched.camera.picture(watched.at).copy()
        shown[:, :160] = np.random.default_rng(slot).integers(0, 255, (180, 160), dtype=np.uint8)
        verdict = watched.see(shown)
        assert verdict.state == "useful" and verdict.score > 0.5, verdict


def test_a_polygon_covers_the_tiles_of_which_it_covers_half() -> None:
    assert mask.covered([]) == []
    assert mask.covered([[(0, 0), (1, 0), (1, 1), (0, 1)]]) == list(range(TILES))
    assert mask.covered([[(0, 0), (0.124, 0), (0.124, 0.165), (0, 0.165)]]) == [0]
    assert mask.covered([[(0, 0), (0.05, 0), (0.05, 0.16), (0, 0.16)]]) == []


def test_pictures_of_another_size_are_learned_anew_and_what_a_person_said_stays(watched: Watched) -> None:
    memory = replace(watched.memory, masked=frozenset({1, 2}))
    verdict, after = judge(figures(noise(watched.camera, 100)), "640x480", watched.at, memory)
    assert verdict.state == "useful" and after.masked == {1, 2} and after.normal.size == "640x480"
    assert after.normal.count == 1 and not after.views


def test_a_room_whose_first_night_is_over_has_not_changed() -> None:
    camera, memory = Camera(30015), Memory()  # a hall, from Monday 0 o'clock on
    for slot in range(54):
        at = MONDAY + 600 + slot * HOUR
        verdict, memory = judge(figures(camera.picture(at)), PICTURE, at, memory)
        assert verdict.state == "useful", verdict


def test_each_verdict_has_its_remedy() -> None:
    assert set(REMEDIES) == set(STATES) - {"useful"}


NOTHING = unpack(measure(Image.new("L", (320, 180), 128)).pack())
BLOCKS = st.binary(min_size=SIZE - 8, max_size=SIZE - 8).map(lambda block: unpack(b"\x3f\xf0\0\0\0\0\0\0" + block))
MOVES = st.lists(st.tuples(BLOCKS, st.floats(-3 * DAY, 10 * DAY)), min_size=1, max_size=6)


@given(moves=MOVES, masked=st.frozensets(st.integers(0, TILES - 1), max_size=TILES - mask.LEAST_TILES))
@settings(deadline=None, max_examples=60)
def test_whatever_is_measured_is_judged_and_what_is_kept_is_bounded_and_read_again(
    moves: list[tuple[Figures, float]], masked: frozenset[int]
) -> None:
    memory, at = Memory(masked=masked), MONDAY
    for block, further in moves:
        at += further
        verdict, after = judge(block, PICTURE, at, memory)
        assert verdict.state in STATES and 0 <= verdict.score <= 1 and verdict.reason
        assert (verdict.score < 0.5) or verdict.state == "useful" or verdict.state == memory.state
        if memory.normal.sums and at < memory.normal.last_at:
            assert after == memory or after.normal.size != memory.normal.size
        assert len(after.views) <= views.MOST
        kept = json.dumps(after.normal.as_json())
        assert len(kept) < 8000
        again = normal.from_json(json.loads(kept))
        assert again.as_json() == after.normal.as_json()
        for view in after.views:
            found = views.view_from_json(json.loads(json.dumps(view.as_json())))
            assert found is not None and (found.structure, found.coarse) == (view.structure, view.coarse)
        memory = after


@pytest.mark.parametrize("kept", [None, 3, {}, [], {"hours": {"1": [1]}}, {"hours": 4}, "x"])
def test_what_another_version_kept_is_learned_anew(kept: Any) -> None:
    assert normal.from_json(kept) == normal.Normal()
    assert views.view_from_json(kept) is None


@given(values=st.lists(st.floats(0, 255), min_size=2, max_size=30))
@settings(deadline=None, max_examples=60)
def test_what_was_useful_is_inside_of_what_is_expected(values: list[float]) -> None:
    known, at = normal.Normal(), MONDAY
    seen = scalars(NOTHING)
    for value in values:
        at += DAY
        known = normal.learned(known, replace(seen, luminance=value, detail=value / 2, bright=value / 255), at)
        expected = normal.expected(known, at)
        assert expected is not None
        assert expected.low_light <= value and expected.low_detail <= value / 2 and expected.high_bright >= value / 255
    assert known.count == len(values) and len(known.hours) == 1


def test_a_day_of_pictures_is_known_by_its_hours() -> None:
    learn: Callable[..., normal.Normal] = normal.learned
    known = normal.Normal()
    seen = scalars(NOTHING)
    for hour in range(24):
        known = learn(known, replace(seen, luminance=float(hour)), MONDAY + hour * HOUR)
    noon, night = normal.expected(known, MONDAY + 12.5 * HOUR), normal.expected(known, MONDAY + DAY)
    assert noon is not None and noon.low_light == 11 and noon.pictures == 3
    assert night is not None and night.low_light == 0, "23, 0 and 1 o'clock are neighbours"
