"""The next step from whatever state to a release that runs. Pure: the law of docs/updates.md is a property of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from visantctl.updates.pending import Blame, Pending


class Act(Enum):
    """What a step does. Each may be cut short and done again."""

    COMMIT = "keep the candidate: only bookkeeping is left"
    CLOSE = "forget the update: its candidate is good, and damaged"
    PROVE = "watch the candidate, whose containers all run"
    OBTAIN = "get the images of a release that is here"
    GO_BACK = "run another release in place of the candidate"
    HOLD = "run the candidate although it must go: nothing else can run yet"
    START = "start the release"
    STUCK = "nothing that is here can run"


@dataclass(frozen=True)
class Step:
    """One act on one release."""

    act: Act
    version: str | None = None
    """Of which release; None: GO_BACK to nothing, as before a first installation."""
    reason: str = ""
    blame: Blame = "if_better"

    @property
    def required(self) -> str:
        """`version`, for the acts that have one."""
        assert self.version is not None, self
        return self.version


@dataclass(frozen=True)
class Present:
    """What is wanted and what is there."""

    pending: Pending | None
    good: str | None
    """The release that was kept last."""
    previous: str | None
    """The one before it."""
    whole: Mapping[str, str | None]
    """Each release of which something is here: None, or why its files cannot be used."""
    has_images: Callable[[str], bool]
    """Whether all images of such a release are here. Asked only where it matters."""
    lost: Mapping[str, str]
    """Releases whose images could not be had at this attempt, with why."""
    interruptions: int
    """How often the update to the candidate was cut short, this time included."""
    candidate_runs: bool
    """Every service of the candidate has a running container of the candidate's image."""


def next_step(present: Present) -> Step:
    """First an open update comes to its end, then the good release starts. START, HOLD and STUCK come last."""
    return _start(present) if present.pending is None else _end(present, present.pending)


def _end(present: Present, pending: Pending) -> Step:
    candidate = pending.candidate
    kept = present.good == candidate
    damage = present.whole.get(candidate, "its files are gone")
    if damage:
        if kept:
            return Step(Act.CLOSE, candidate, damage)  # a start falls back to another release
        return _back(present, pending, f"cannot be finished: {damage}", "no")
    if kept or pending.phase == "committing":
        return Step(Act.COMMIT, candidate)
    if pending.phase == "rolling_back":
        return _back(present, pending, pending.reason, pending.blame)
    if present.candidate_runs:
        return Step(Act.PROVE, candidate)
    if present.interruptions >= 2:
        return _back(present, pending, "interrupted twice", "yes")
    return _back(present, pending, "interrupted", "no")


def _back(present: Present, pending: Pending, reason: str, blame: Blame) -> Step:
    """To what was good before the update; where that cannot be had now, to the one before, else hold the candidate."""
    if pending.good is None:
        return Step(Act.GO_BACK, None, reason, blame)
    for version in (pending.good, pending.older):
        if step := _usable(present, version, Act.GO_BACK, reason, blame):
            return step
    if pending.candidate in present.whole and present.has_images(pending.candidate):
        return Step(Act.HOLD, pending.candidate, reason, blame)
    return _stuck(present, pending.good)


def _start(present: Present) -> Step:
    if present.good is None:
        return Step(Act.STUCK, None, "no release is installed here")
    for version in (present.good, present.previous):
        if step := _usable(present, version, Act.START):
            return step
    return _stuck(present, present.good)


def _usable(
    present: Present, version: str | None, act: Act, reason: str = "", blame: Blame = "if_better"
) -> Step | None:
    """`act` on this release, or what must come before it; None where it cannot be used now."""
    if version is None or version not in present.whole:
        return None
    if present.has_images(version):
        # Also with a damaged manifest: Compose needs only its own file and the images.
        return Step(act, version, reason, blame)
    if present.whole[version] is None and version not in present.lost:
        return Step(Act.OBTAIN, version, reason)
    return None


def _stuck(present: Present, version: str) -> Step:
    why = present.lost.get(version) or present.whole.get(version, "its files are gone") or "its images are gone"
    return Step(Act.STUCK, version, f"{version} cannot run: {why}")
