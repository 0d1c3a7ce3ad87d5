"""A camera that is away, hangs, shows the same frame for ever, or sends broken ones."""

import asyncio
from functools import partial

from tests.faults.arena import Arena
from tests.faults.scenario import Scenario, add


async def _fault(arena: Arena, *, fault: str, seconds: float) -> None:
    await arena.camera_fault(fault)
    await asyncio.sleep(seconds)
    await arena.camera_fault("none")


for _name, _kind, _about in (
    ("camera_errors", "absent", "the camera is unplugged for 10 s"),
    ("camera_frozen", "frozen", "the camera repeats one old frame for 10 s"),
    ("camera_stalled", "stalled", "the camera sends no frame for 10 s"),
    ("camera_bad_frames", "bad_frames", "every frame is broken for 10 s"),
):
    add(
        Scenario(
            _name,
            partial(_fault, fault=_kind, seconds=10.0),
            _about,
            proxied=False,
            short=_kind in ("absent", "frozen"),
        )
    )

add(
    Scenario(
        "camera_away_30s",
        partial(_fault, fault="absent", seconds=30.0),
        "the camera is unplugged for 30 s, longer than CAPTURE_PATIENCE",
        allowed={"camera_absent": "the camera was away longer than CAPTURE_PATIENCE (15 s)"},
        proxied=False,
        short=False,
    )
)
