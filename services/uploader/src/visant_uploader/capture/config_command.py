"""`update_config`: what the camera knows goes to the camera, the rest is told to the log."""

from typing import Any

import structlog

from visant_uploader.capture.camera_client import CameraClient

log = structlog.get_logger()

NESTS = ("camera", "controls")
"""Keys that may hold camera settings one level down."""


async def apply_config(camera: CameraClient, config: dict[str, Any]) -> str:
    """Applies it and says in one line what was done. Raises ConfigRefused, CameraTrouble."""
    wanted = dict(config)
    for nest in NESTS:
        inner = wanted.pop(nest, None)
        if isinstance(inner, dict):
            wanted.update(inner)
    if not wanted:
        return "nothing to apply"
    known = control_names(await camera.controls())
    ours = {name: value for name, value in wanted.items() if name in known}
    others = sorted(set(wanted) - set(ours))
    if others:
        log.info("settings that no camera control answers to", keys=", ".join(others)[:500])
    if ours:
        await camera.set_controls(ours)
    return f"applied: {', '.join(sorted(ours)) or 'nothing'}; unknown: {', '.join(others) or 'none'}"


def control_names(answer: dict[str, Any]) -> set[str]:
    """The names that `GET /controls` lists."""
    listed = answer.get("controls", answer)
    if isinstance(listed, dict):
        return set(listed)
    return {str(one["name"]) for one in listed if isinstance(one, dict) and "name" in one}
