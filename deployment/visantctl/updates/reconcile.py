"""Whatever state this device is in: look, do the next step of the plan, look again, until a release runs."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from visantctl.errors import EngineAway, EngineFailed, Problem, Unreachable
from visantctl.host import durable
from visantctl.host.kill_point import kill_point
from visantctl.releases import images, published
from visantctl.releases.manifest import Release
from visantctl.releases.source import Source
from visantctl.updates.commit import commit
from visantctl.updates.obtain import bring_back_images
from visantctl.updates.pending import Pending
from visantctl.updates.plan import Act, Present, Step, next_step
from visantctl.updates.proof import all_run, prove, wait_and_watch
from visantctl.updates.rollback import roll_back
from visantctl.updates.soak import Unfit
from visantctl.wiring import Device

_STEPS = 20
"""More than any state needs; an Engine that says one thing and does another must not keep us here for ever."""


class Stuck(Unreachable):
    """Nothing that is here can run, and what is missing cannot be had now: a release from elsewhere can."""


def reconcile(
    device: Device,
    offered: tuple[Source, Release] | None = None,
    *,
    judged: Pending | None = None,
    start: bool = True,
) -> str | None:
    """Bring an open update to its end, then start the good release; returns the version that runs.

    `offered`: a source and its release, whose images serve instead of the registry's where they are the missing ones.
    `judged`: the open update as this process knows it, for a full disk on which the file says less. Without `start`
    it ends when no update is open. Where the release to go back to cannot be had now, the update stays open and its
    candidate runs. Stuck: nothing can run. Problem: a release that is whole here does not start.
    """
    return _Attempt(device, offered, judged).run(start=start)


class _Attempt:
    """One try: what it learned of images that cannot be had holds until its end only."""

    def __init__(self, device: Device, offered: tuple[Source, Release] | None, judged: Pending | None) -> None:
        self._device = device
        self._offered = offered
        self._judged = judged
        self._lost: dict[str, str] = {}
        self._interruptions = 0

    def run(self, *, start: bool) -> str | None:
        device, failed = self._device, None
        self._count_interruption()
        for _ in range(_STEPS):
            pending = self._pending()
            if pending is None and not start:
                return device.ledger.good
            step = next_step(self._look(pending))
            if failed is not None and step.act is not Act.OBTAIN:
                raise failed  # and not for lack of images
            try:
                if self._do(step, pending):
                    return step.version
            except EngineFailed as error:
                failed = Problem(f"{step.version} does not start: {error}; visantctl doctor, visantctl logs")
        raise failed or Problem("no step leads on from here: visantctl support-bundle shows why")

    def _pending(self) -> Pending | None:
        pending = Pending.read(self._device.place.state)
        return self._judged if pending is not None and self._judged is not None else pending

    def _count_interruption(self) -> None:
        pending, ledger = self._pending(), self._device.ledger
        if pending is None or pending.phase not in ("switching", "soaking") or ledger.good == pending.candidate:
            return
        self._interruptions = ledger.count_interruption(pending.candidate)
        self._device.log.warning(
            f"the update to {pending.candidate} was cut short while {pending.phase} (time {self._interruptions})"
        )

    def _look(self, pending: Pending | None) -> Present:
        device, place = self._device, self._device.place
        good, previous = device.ledger.good, place.linked_version(place.previous)
        names = {good, previous, *((pending.candidate, pending.good, pending.older) if pending else ())}
        known: dict[str, bool] = {}

        def has_images(version: str) -> bool:
            if version not in known:
                tags = device.image_tags(version)
                known[version] = bool(tags) and not images.missing(device.engine, tags, place.release(version))
            return known[version]

        return Present(
            pending=pending,
            good=good,
            previous=previous,
            whole={name: self._damage(name) for name in names if name and place.release(name).is_dir()},
            has_images=has_images,
            lost=self._lost,
            interruptions=self._interruptions,
            candidate_runs=self._candidate_runs(pending),
        )

    def _damage(self, version: str) -> str | None:
        """Why its files cannot be used, after what can be put back from its packed files was."""
        device = self._device
        if device.damage(version):
            with contextlib.suppress(Problem, OSError):
                names = published.restore(device.place, version)
                device.log.error(f"{version} was damaged on this medium: restored {', '.join(names)}")
        return device.damage(version)

    def _candidate_runs(self, pending: Pending | None) -> bool:
        if pending is None or pending.phase not in ("switching", "soaking"):
            return False
        linked = self._device.place.linked_version(self._device.place.current)
        return linked == pending.candidate and all_run(self._device, pending.candidate)

    def _do(self, step: Step, pending: Pending | None) -> bool:
        """True after the last step."""
        if step.act is Act.STUCK:
            raise Stuck(f"{step.reason}: visantctl update, or visantctl update --from FILE, brings one that can run")
        if step.act is Act.OBTAIN:
            self._obtain(step.required)
        elif step.act is Act.START:
            self._start(step.required)
            return True
        elif pending is None:
            raise AssertionError(f"{step.act} without an open update")
        elif step.act is Act.HOLD:
            self._hold(pending, step)
            return True
        elif step.act is Act.GO_BACK:
            roll_back(self._device, pending, step.version, step.reason, blame=step.blame)
        elif step.act is Act.PROVE:
            self._prove(pending)
        elif step.act is Act.COMMIT:
            commit(self._device, pending)
        else:
            self._device.log.error(f"the update to {step.version} cannot be finished: {step.reason}")
            Pending.close(self._device.place.state)
        return False

    def _obtain(self, version: str) -> None:
        """The only case in which a start needs the network or a file."""
        try:
            bring_back_images(self._device, version, self._offered)
        except EngineAway:
            raise
        except Problem as problem:
            self._lost[version] = str(problem)
            self._device.log.error(str(problem))
        kill_point("images-obtained")

    def _start(self, version: str) -> None:
        device, place = self._device, self._device.place
        if version != device.ledger.good:
            device.log.error(f"{device.ledger.good} cannot run, falling back to {version}")
            durable.point(place.current, f"releases/{version}")
            device.ledger.good = version
        elif place.linked_version(place.current) != version:
            device.log.warning(f"current did not point to {version}: set right")
            durable.point(place.current, f"releases/{version}")
        device.log.info(f"starting {version}")
        device.with_engine(lambda: device.stack(version).start())

    def _hold(self, pending: Pending, step: Step) -> None:
        device, version = self._device, pending.candidate
        with contextlib.suppress(OSError):
            pending.advance(device.place.state, "rolling_back", step.reason, step.blame)
        kill_point("held")
        device.log.error(f"{version} must go ({step.reason}) and is kept until {pending.good} can be had")
        durable.point(device.place.current, f"releases/{version}")
        device.with_engine(lambda: device.stack(version).start())

    def _prove(self, pending: Pending) -> None:
        try:
            prove(self._device, lambda: wait_and_watch(self._device, pending))
        except Unfit as unfit:
            self._judged = replace(pending, phase="rolling_back", reason=str(unfit))
        else:
            commit(self._device, pending)
