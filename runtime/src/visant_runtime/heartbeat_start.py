"""The heartbeat of a process that starts. Apart from heartbeat.py, which many import, for settings need pydantic."""

from pathlib import Path

from visant_runtime.health import default_path
from visant_runtime.heartbeat import Heartbeat
from visant_runtime.settings import fail


def start_heartbeat(service: str) -> Heartbeat:
    """Written once, so that a folder that is not there or not ours ends the start with one line."""
    path = Path(default_path(service))
    heartbeat = Heartbeat(path)
    try:
        heartbeat.write()
    except OSError as error:
        fail(f"HEARTBEAT_FILE={path} cannot be written ({error.strerror}): name a file in a folder this user may write")
    return heartbeat
