"""What the cloud asks of the updater on the host, as one small file beside the spool, which the updater takes away.

No container can call the updater. The file wakes it (deployment/systemd/visant-update-request.path), and it reads the
file as something that a stranger wrote.
"""

import json
from pathlib import Path
from typing import Any

from visant_contract.update_request import Pin, read_update_request
from visant_runtime import durable
from visant_uploader.capture.camera_client import ConfigRefused

FILE_NAME = "update-request.json"
_MAX = 4096


class UpdateRequests:
    """`folder`: the spool's; `status`: what the updater leaves for the telemetry, None or absent without an updater."""

    def __init__(self, folder: Path, status: Path | None) -> None:
        self._file = folder / FILE_NAME
        self._status = status

    def write(self, trigger_id: str | None, value: Any) -> str:
        """Durably; says in words what was asked. Blocking. Raises ConfigRefused.

        `trigger_id` None: it stands in the settings that come with each stream, where a `now` is over.
        """
        wanted = read_update_request(value)
        if wanted is None:
            raise ConfigRefused(
                f'update={json.dumps(value)[:100]} must be "now", "hold", "resume" or {{"pin": "1.2.3"}}'
            )
        if trigger_id is None and wanted == "now":
            return ""
        if self._status is None or not self._status.exists():
            raise ConfigRefused("update: there is no updater on this device's host (visantctl)")
        if self._waits_for_another(trigger_id):
            raise ConfigRefused("update: the updater has not taken the request before this one: visantctl doctor")
        asked = {"word": "pin", "version": wanted.pin} if isinstance(wanted, Pin) else {"word": wanted}
        try:
            durable.write(self._file, [json.dumps({"id": trigger_id or "", **asked}).encode()], mode=0o600)
        except OSError as error:
            raise ConfigRefused(f"update: the request cannot be stored ({error.strerror or error})") from None
        return f"asked the updater: {' '.join(asked.values())}"

    def _waits_for_another(self, trigger_id: str | None) -> bool:
        """A command that is executed again after a power cut writes its own request again."""
        try:
            with self._file.open("rb") as file:
                waiting = json.loads(file.read(_MAX))
        except FileNotFoundError:
            return False
        except (OSError, ValueError):
            return True
        return not isinstance(waiting, dict) or waiting.get("id") != (trigger_id or "")
