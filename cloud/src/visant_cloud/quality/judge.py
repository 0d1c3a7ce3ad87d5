"""What a picture is: useful, or why not. Pure: its figures beside what is known of the device, and what is known then.

One odd picture is not a verdict: somebody walked by, a cloud passed. It is suspected, and the next ones decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from visant_cloud.quality import normal as normals
from visant_cloud.quality import views
from visant_cloud.quality.block import TILES, Figures, Scalars, scalars
from visant_cloud.quality.normal import DAY, HOUR, Expected, Normal
from visant_cloud.quality.views import Match, View

State = Literal["useful", "dark", "bright", "blurred", "frozen", "covered", "moved"]
STATES: tuple[State, ...] = get_args(State)

CONFIRMED: dict[State, int] = {"frozen": 1, "covered": 2, "moved": 2, "dark": 3, "bright": 3, "blurred": 4}
"""Pictures in a row that make a suspicion a verdict. Two that are the same to the last bit are no chance."""
CONFIRMED_SECONDS = 120.0
"""Between the first and the last of them, whatever the schedule: somebody stands before the lens for a minute."""
BLURRED_SECONDS = 6 * HOUR
"""The same of what is blurred: fog and rain go by."""
SCENE_KNOWN = DAY
SCENE_PICTURES = 12
"""From when on, and from how many pictures, the scene's views are known: a day with its night."""
LIGHT_KNOWN = 7 * DAY
"""From when on its light is: a week with its weekend."""
_LIGHT_PICTURES = 3
_LATE = 1.0
_ALL = tuple(range(TILES))
_BOUND = 0.5
"""Of a suspicion: from here on it is one."""

_DARK_MOST = 60.0
"""Grey level: brighter is not dark, whatever is normal."""
_DARK_PART = 0.5
_BRIGHT_LEAST = 0.4
_DETAIL_LEAST = 3.0
_DETAIL_PART = 0.4
_AGREES = 0.4
"""Part of the tiles that show the same, up to which the scene is another."""
_AGREES_COVERED = 0.15
_AGREES_AGAIN = 0.5
_VIEW_NEW = 0.6
"""A useful picture that agrees less is a view of its own."""
_VIEW_EARLY = 0.8
"""The same while the scene is learned: its night is not to stand for its day."""
_LESS = 0.2
"""So much less than usual is a change."""
_VIEW_RENEWED = 0.75
_SHARP_PART = 0.6
_SHARP_PART_LEAST = 0.45
_SHARP_SPREADS = 6.0
_NOISE_TIMES = 3.0
_NOISE_MORE = 2.0
_SAME_PART = 0.9
_SAME_SELDOM = 0.3
_SAME_LEAST = 12
"""Tiles that are not clipped."""
_CHANGED_FOR = 20 * HOUR
_CHANGED_PICTURES = 6
_LIT = 0.7
"""Of the brightest hour's light: a hall that is dark for a weekend has not changed."""
_COMPARABLE = TILES // 3
"""Tiles that a view shows, from which part of a picture can be said to have changed."""


@dataclass(frozen=True)
class Verdict:
    """Of a picture. `score`: 0 to 1, the less the more it is suspected of; below 0.5 the next ones decide."""

    state: State
    score: float
    reason: str
    figures: dict[str, float | str | None]


@dataclass(frozen=True)
class Memory:
    """What is known of a device before a picture, and after it."""

    normal: Normal = field(default_factory=Normal)
    views: tuple[View, ...] = ()
    candidate: View | None = None
    """The last picture that showed another scene, or that was a new look of this one."""
    reference: View | None = None
    """A person said that it should look so."""
    masked: frozenset[int] = frozenset()
    """Tiles that do not count."""
    state: State = "useful"
    """The last verdict."""
    sharpness: float | None = None
    """Of the reference."""

    @property
    def counted(self) -> Sequence[int]:
        """Tiles that do."""
        return [tile for tile in _ALL if tile not in self.masked] if self.masked else _ALL

    @property
    def scene(self) -> tuple[View, ...]:
        """All that the scene may look like."""
        return self.views if self.reference is None else (self.reference, *self.views)


@dataclass(frozen=True)
class _Suspicion:
    """`strength`: 0 to 1, None: nobody can tell from this picture."""

    strength: float | None
    words: str = ""


@dataclass(frozen=True)
class _Look:
    """All that is worked out of one picture before it is judged."""

    figures: Figures
    seen: Scalars
    expected: Expected | None
    best: tuple[int, Match] | None
    textured: int
    same: float | None


def judge(figures: Figures, size: str, at: float, known: Memory) -> tuple[Verdict, Memory]:
    """`size`: `1920x1080`. `at`: when it was taken, seconds since 1970.

    A picture that is older than the last one changes nothing of what is known.
    """
    known = _begun(known, size, at)
    normal = known.normal
    look = _look(figures, at, known)
    late = bool(normal.sums) and at < normal.last_at + _LATE
    suspicions = _suspicions(look, at, known, late=late)
    name, worst = max(suspicions.items(), key=lambda one: one[1].strength or 0.0)
    if name == "dark" and (suspicions["covered"].strength or 0.0) >= _BOUND:
        name, worst = "covered", suspicions["covered"]  # what is before the lens takes its light, too
    strength = worst.strength or 0.0
    suspected = strength >= _BOUND
    numbers = _numbers(look)
    score = round(1 - strength, 3)
    if late:
        state: State = known.state if suspected and name == known.state else "useful"
        return Verdict(state, score, worst.words if suspected else "as it should be", numbers), known
    normal, candidate = _counted(normal, name if suspected else "", at, look, known)
    confirmed = suspected and normal.run >= CONFIRMED[name]
    lasting = BLURRED_SECONDS if name == "blurred" else CONFIRMED_SECONDS
    if confirmed and CONFIRMED[name] > 1 and at - normal.run_since < lasting:
        confirmed = False
    state, reason = "useful", "as it should be"
    if confirmed:
        state, reason = name, worst.words
    elif known.state != "useful" and _lasts(known.state, suspicions, look):
        state, reason = known.state, suspicions[known.state].words or "nothing seen that says otherwise"
    elif suspected:
        reason = f"may be {name}, the next pictures tell: {worst.words}"
    elif not _is_known(normal):
        reason = "as far as its normal is known"
    after = _remembered(replace(known, normal=normal, candidate=candidate, state=state), look, at, suspected)
    return Verdict(state, score, reason, numbers), after


def _begun(known: Memory, size: str, at: float) -> Memory:
    normal = known.normal
    if normal.size not in ("", size):
        # another camera: nothing of the old one is normal but what a person said
        return replace(known, normal=Normal(size, still=normal.still), views=(), candidate=None, state="useful")
    if normal.count and at - normal.last_at > normals.FORGETS:
        normal = replace(normal, hours={}, count=0)
    return replace(known, normal=replace(normal, size=size))


def _look(figures: Figures, at: float, known: Memory) -> _Look:
    counted = known.counted
    return _Look(
        figures,
        _scalars(figures, known),
        normals.expected(known.normal, at),
        views.best(figures, known.scene, counted),
        views.textured(figures, counted),
        _same(figures, known.normal, counted),
    )


def _same(figures: Figures, normal: Normal, counted: Sequence[int]) -> float | None:
    """Share of the tiles that are to the last bit as in the picture before; clipped ones say nothing."""
    before = bytes.fromhex(normal.sums)
    if len(before) != len(figures.sums):
        return None
    open_ = [tile for tile in counted if figures.dark[tile] + figures.bright[tile] < 128]
    if len(open_) < _SAME_LEAST:
        return None
    equal = sum(figures.sums[2 * tile : 2 * tile + 2] == before[2 * tile : 2 * tile + 2] for tile in open_)
    return equal / len(open_)


def _suspicions(look: _Look, at: float, known: Memory, *, late: bool) -> dict[State, _Suspicion]:
    normal = known.normal
    light_known = (
        look.expected is not None and look.expected.pictures >= _LIGHT_PICTURES and at - normal.first_at >= LIGHT_KNOWN
    )
    scene_known = bool(known.reference) or (
        at - normal.first_at >= SCENE_KNOWN and normal.count >= SCENE_PICTURES and bool(known.views)
    )
    return {
        "frozen": _Suspicion(None) if late else _frozen(look, normal),
        "covered": _covered(look, normal, scene_known=scene_known, light_known=light_known),
        "moved": _moved(look, known.candidate, known.counted) if scene_known else _Suspicion(None),
        "dark": _dark(look) if light_known else _Suspicion(None),
        "bright": _bright(look) if light_known else _Suspicion(None),
        "blurred": _blurred(look, known) if scene_known else _Suspicion(None),
    }


def _frozen(look: _Look, normal: Normal) -> _Suspicion:
    if look.same is None:
        return _Suspicion(None)
    if normal.still:
        return _Suspicion(0.0)
    if look.same == 1.0:
        return _Suspicion(1.0, "to the last bit as the picture before")
    usual = normal.compared >= 10 and normal.same <= _SAME_SELDOM
    if usual and look.same >= _SAME_PART:
        return _Suspicion(0.9, f"{look.same:.0%} of it are to the last bit as in the picture before")
    return _Suspicion(0.0)


def _dark(look: _Look) -> _Suspicion:
    assert look.expected is not None
    light, least = look.seen.luminance, look.expected.low_light
    if light >= _DARK_MOST:
        return _Suspicion(0.0)
    return _Suspicion(
        _clamp(1 - (light + 4) / (least + 4)),
        f"mean grey level {light:.0f}; at this hour it was never below {least:.0f}",
    )


def _bright(look: _Look) -> _Suspicion:
    assert look.expected is not None
    share, most = look.seen.bright, look.expected.high_bright
    if share < _BRIGHT_LEAST:
        return _Suspicion(0.0)
    return _Suspicion(
        _clamp((share - most) / 0.6), f"{share:.0%} are white; at this hour it was never more than {most:.0%}"
    )


def _covered(look: _Look, normal: Normal, *, scene_known: bool, light_known: bool) -> _Suspicion:
    if not scene_known or look.expected is None or look.best is None:
        return _Suspicion(None)
    match = look.best[1]
    if normal.changed >= _CHANGED_PICTURES and normal.last_at - normal.changed_since >= _CHANGED_FOR:
        return _Suspicion(
            _clamp(_BOUND + (normal.usual - match.agreement) / 2),
            f"{1 - match.agreement:.0%} of it have not shown for a day what they did; something may stick to the lens",
        )
    least, detail = look.expected.low_detail, look.seen.detail
    if least < _DETAIL_LEAST:
        return _Suspicion(0.0 if match.agreement >= _AGREES_AGAIN else None)
    if look.seen.luminance < _DARK_MOST and not light_known:
        return _Suspicion(None)  # the first evening without a lamp is not known yet
    part = (detail + 0.5) / (least + 0.5)
    if match.agreement > _AGREES_COVERED:
        return _Suspicion(_clamp(_BOUND * (1 - match.agreement)))
    return _Suspicion(
        _clamp(_BOUND + (_DETAIL_PART - part) * 1.25),
        f"it shows a detail of {detail:.1f} grey levels; at this hour it was never below {least:.1f}",
    )


def _moved(look: _Look, candidate: View | None, counted: Sequence[int]) -> _Suspicion:
    if look.best is None or look.textured < views.ENOUGH:
        return _Suspicion(None)
    match = look.best[1]
    agreement = match.agreement
    if len(match.lost) > 0.6 * match.shown:
        return _Suspicion(None)
    strength = _BOUND + (_AGREES - agreement) if agreement <= _AGREES else _BOUND * (1 - agreement)
    if strength >= _BOUND and candidate is not None:
        again = views.compare(look.figures, candidate, counted)
        if again.shown >= views.ENOUGH and again.agreement < _AGREES_AGAIN:
            strength = _BOUND - 0.01  # it is like nothing, also not like the picture before: something passes
    return _Suspicion(_clamp(strength), f"{agreement:.0%} of it show what they did; the pictures since show the same")


def _blurred(look: _Look, known: Memory) -> _Suspicion:
    expected, seen = look.expected, look.seen
    if expected is None:
        return _Suspicion(None)
    noisy = expected.noise * _NOISE_TIMES + _NOISE_MORE
    if expected.pictures >= _LIGHT_PICTURES and seen.noise > noisy:
        return _Suspicion(
            _clamp(_BOUND * seen.noise / noisy),
            f"noise of {seen.noise:.1f} grey levels; {expected.noise:.1f} are normal",
        )
    part = (seen.detail + 0.5) / (expected.low_detail + 0.5)
    if expected.low_detail >= _DETAIL_LEAST and part < _DETAIL_PART and expected.pictures >= _LIGHT_PICTURES:
        words = f"a detail of {seen.detail:.1f} grey levels; at this hour it was never below {expected.low_detail:.1f}"
        return _Suspicion(_clamp(_BOUND + (_DETAIL_PART - part) / 2), words)
    best = known.sharpness if expected.sharpness is None else expected.sharpness
    if seen.sharpness is None or best is None:
        return _Suspicion(None)
    border = max(_SHARP_PART_LEAST * best, min(_SHARP_PART * best, best - _SHARP_SPREADS * expected.spread))
    return _Suspicion(
        _clamp(1 - _BOUND * seen.sharpness / border),
        f"sharpness {seen.sharpness:.3f}; {best:.3f} is normal at this hour",
    )


def _counted(normal: Normal, name: str, at: float, look: _Look, known: Memory) -> tuple[Normal, View | None]:
    """The run of pictures that are suspected of one thing, and the last of another scene."""
    # a cover that slips, or light behind it, looks like one or the other
    goes_on = bool(name) and (name == normal.run_of or {name, normal.run_of} <= {"covered", "moved", "dark"})
    run = normal.run + 1 if goes_on else int(bool(name))
    since = normal.run_since if goes_on else at
    candidate = views.view_of(look.figures, at) if name == "moved" else known.candidate
    return replace(normal, run_of=name, run=run, run_since=since if name else 0.0), candidate


def _lasts(state: State, suspicions: dict[State, _Suspicion], look: _Look) -> bool:
    """Whether a verdict stays: until a picture shows that it is over. At night nobody sees that a cover is gone."""
    if state in ("covered", "moved"):
        return look.best is None or look.best[1].agreement < _AGREES_AGAIN
    if state in ("dark", "bright") and look.expected is not None and look.expected.low_light < 20:
        return True
    strength = suspicions[state].strength
    return strength is None or strength >= 0.4


def _is_known(normal: Normal) -> bool:
    return normal.age >= SCENE_KNOWN and normal.count >= SCENE_PICTURES


def _remembered(known: Memory, look: _Look, at: float, suspected: bool) -> Memory:
    normal = replace(known.normal, last_at=max(at, known.normal.last_at), sums=look.figures.sums.hex())
    if look.same is not None and look.same < 1.0:
        normal = normals.same_again(normal, look.same)
    lit = look.seen.luminance >= _LIT * max((hour.light for hour in normal.hours.values()), default=0.0)
    comparable = look.best is not None and look.best[1].shown >= _COMPARABLE and look.textured >= views.ENOUGH
    if look.best is not None and comparable and lit:
        # while the scene is learned nothing has changed yet
        normal = normals.agreed(normal, look.best[1].agreement, at, _LESS if _is_known(normal) else 1.0)
    if suspected or known.state != "useful":
        return replace(known, normal=normal)
    normal = normals.learned(normal, look.seen, at)
    found, candidate = _viewed(known, normal, look, at)
    return replace(known, normal=normal, views=found, candidate=candidate)


def _viewed(known: Memory, normal: Normal, look: _Look, at: float) -> tuple[tuple[View, ...], View | None]:
    """The views with this useful picture among them, where it is one of its own or the one it fits is a day old.

    Once the scene is known, a new look waits as the candidate until an old one is seen again: light comes and goes,
    what sticks to the lens stays.
    """
    if look.textured < views.ENOUGH:
        return known.views, known.candidate
    picture = views.view_of(look.figures, at)
    if look.best is None:
        return _with(known.views, picture), None
    place, match = look.best
    if not _is_known(normal) and match.agreement < _VIEW_EARLY:
        return _with(known.views, picture), None
    if match.agreement < _VIEW_NEW:
        return known.views, picture
    found = known.views
    if normal.changed:
        return found, known.candidate
    if known.candidate is not None:
        found = _with(found, known.candidate)
    place -= known.reference is not None
    if place < 0:
        return found, None
    fits = found[place]
    if at - fits.made >= DAY and match.agreement >= _VIEW_RENEWED:
        return (*found[:place], picture, *found[place + 1 :]), None
    if at - fits.used >= DAY / 4:
        return (*found[:place], replace(fits, used=at), *found[place + 1 :]), None
    return found, None


def _with(found: tuple[View, ...], one: View) -> tuple[View, ...]:
    """With one more; the one that was not seen for longest goes, where there are too many."""
    if len(found) >= views.MOST:
        oldest = min(found, key=lambda view: view.used)
        found = tuple(view for view in found if view is not oldest)
    return (*found, one)


def taught(known: Memory, figures: Figures, at: float, verdict: State) -> Memory:
    """A person said that this picture, of which something else was said, is useful: it is normal at every hour."""
    normal = normals.widened(known.normal, _scalars(figures, known))
    normal = _calm(replace(normal, still=normal.still or verdict == "frozen"))
    found = known.views
    if views.textured(figures, known.counted) >= views.ENOUGH:
        found = _with(found, views.view_of(figures, max(at, normal.last_at)))
    state = "useful" if verdict == known.state else known.state
    return replace(known, normal=normal, views=found, candidate=None, state=state)


def _calm(normal: Normal) -> Normal:
    """Nothing is suspected any more."""
    return replace(normal, run=0, run_of="", run_since=0.0, changed=0, changed_since=0.0)


def _scalars(figures: Figures, known: Memory) -> Scalars:
    return scalars(figures, list(known.counted) if known.masked else None)


def masked(known: Memory, tiles: frozenset[int]) -> Memory:
    """These tiles do not count. Of the rest other figures are normal."""
    normal = _calm(replace(known.normal, hours={}, count=0))
    return replace(known, normal=normal, candidate=None, masked=tiles, state="useful")


def without_reference(known: Memory) -> Memory:
    """As it looks now counts, no more as a person said."""
    return replace(known, reference=None, sharpness=None)


def referred(known: Memory, figures: Figures, at: float) -> Memory:
    """A person said that the scene should look so: what it looked like before is forgotten."""
    return replace(
        known,
        normal=_calm(known.normal),
        views=(),
        candidate=None,
        reference=views.view_of(figures, at),
        sharpness=_scalars(figures, known).sharpness,
        state="useful",
    )


def _numbers(look: _Look) -> dict[str, float | str | None]:
    seen = look.seen
    return {
        "luminance": round(seen.luminance, 1),
        "dark": round(seen.dark, 3),
        "bright": round(seen.bright, 3),
        "sharpness": None if seen.sharpness is None else round(seen.sharpness, 4),
        "detail": round(seen.detail, 2),
        "noise": round(seen.noise, 2),
        "agreement": None if look.best is None else round(look.best[1].agreement, 3),
        "same": None if look.same is None else round(look.same, 3),
        "hash": f"{look.figures.hash:016x}",
    }


def _clamp(value: float) -> float:
    return max(0.0, min(1.0, value))
