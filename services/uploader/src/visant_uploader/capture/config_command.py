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
    done = _in_words(await camera.want(wanted))
    return f"{asked}; {done}" if asked else done


def _in_words(became: dict[str, str]) -> str:
    """Raises ConfigRefused where the camera refused one; the others are in force all the same."""
    words = (("applied", "applied"), ("waiting", "kept until a camera is open"), ("unknown", "unknown"))
    lists = [(said, sorted(name for name, what in became.items() if what == word)) for word, said in words]
    done = "; ".join(f"{said}: {', '.join(names)}" for said, names in lists if names)
    refused = [what.removeprefix("refused: ") for what in became.values() if what.startswith("refused")]
    if refused:
        raise ConfigRefused("; ".join([*refused, done]).rstrip("; "))
    return done
