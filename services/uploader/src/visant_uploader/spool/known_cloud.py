"""The cloud that was confirmed last, kept in a small file of the spool. Blocking."""

import json
from dataclasses import dataclass
from pathlib import Path

from visant_runtime import durable

FILE_NAME = "cloud.json"


@dataclass(frozen=True)
class KnownCloud:
    """The cloud that outcomes may go to."""

    cloud_id: str
    plain: bool


def recall(file: Path, api_url: str) -> KnownCloud | None:
    """What was kept for this API_URL; a file that cannot be read counts as absent."""
    try:
        found = json.loads(file.read_text())
        if found["api_url"] != api_url:
            return None
        return KnownCloud(str(found["cloud_id"]), bool(found["plain"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(file: Path, api_url: str, known: KnownCloud) -> None:
    """Durably. Raises OSError."""
    text = json.dumps({"api_url": api_url, "cloud_id": known.cloud_id, "plain": known.plain})
    durable.write(file, [text.encode()])
