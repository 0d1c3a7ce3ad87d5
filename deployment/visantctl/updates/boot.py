"""After a power cut, or whenever a start is asked for: make one whole release run."""

from __future__ import annotations

from visantctl.errors import Problem
from visantctl.host.lock import update_lock
from visantctl.releases.source import Channel
from visantctl.updates.reconcile import Stuck, reconcile
from visantctl.updates.update import take
from visantctl.wiring import Device


def boot(device: Device, *, patience: float = 0.0) -> str:
    """Repair an interrupted update, then start the good release; returns what runs. Waits for the lock, seconds.

    Where nothing that is here can run, the channel's release is taken. Stuck: neither.
    """
    device.place.prepare()
    with update_lock(device.place.state, "start", patience) as lock:
        device = device.holding(lock)
        device.engine.wait(device.settings.engine_patience)
        try:
            runs = reconcile(device)
        except Stuck as stuck:
            if not device.settings.update_url:
                raise
            device.log.error(f"{stuck}: looking for a release at UPDATE_URL")
            try:
                runs = take(device, Channel(device.settings, device.log))
            except Problem as problem:
                raise Stuck(f"{stuck}; {problem}") from None
    assert runs is not None
    return runs
