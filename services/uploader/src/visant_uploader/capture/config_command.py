"""`update_config`: what the camera knows goes to the camera, `update` to the updater, the rest is told to the log."""

import asyncio
from typing import Any

import structlog

from visant_uploader.capture.camera_client import CameraClient, ConfigRefused
from visant_uploader.capture.update_request import UpdateRequests

log = structlog.get_logger()

NESTS = ("camera", "controls")
"""Keys that may hold camera settings one level down."""


async def apply_config(
    camera: CameraClient, updates: UpdateRequests, config: dict[str, Any], trigger_id: str | None = None
) -> str:
    """Applies it and says in one line what was done. Raises ConfigRefused, CameraTrouble; may be done again then."""
    wanted = dict(config)
    asked = ""
    if "update" in wanted:
        try:
            asked = await asyncio.to_thread(updates.write, trigger_id, wanted.pop("update"))
        except ConfigRefused as refused:
            if trigger_id is not None:
                raise
            log.warning("settings refused", detail=str(refused))  # the camera's come with each stream as well
    for nest in NESTS:
        inner = wanted.pop(nest, None)
        if isinstance(inner, dict):
            wanted.update(inner)
    if not wanted:
        return asked or "nothing to apply"
    known = control_names(await camera.controls())
    ours = {name: value for name, value in wanted.items() if name in known}
    others = sorted(set(wanted) - set(ours))
    if others:
        log.info("settings that no camera control answers to", keys=", ".join(others)[:500])
    if ours:
        await camera.set_controls(ours)
    done = f"applied: {', '.join(sorted(ours)) or 'nothing'}; unknown: {', '.join(others) or 'none'}"
    return f"{asked}; {done}" if asked else done


def control_names(answer: dict[str, Any]) -> set[str]:
    """The names that `GET /controls` lists."""
    listed = answer.get("controls", answer)
    if isinstance(listed, dict):
        return set(listed)
    return {str(one["name"]) for one in listed if isinstance(one, dict) and "name" in one}
