"""The cloud that was confirmed last, kept in a small file of the spool. Blocking."""

import hashlib
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


def remember(file: Path, api_url: str, known: KnownCloud, token: str | None = None) -> None:
    """Durably. `token`: `fingerprint` of what the device shows there. Raises OSError."""
    kept = {"api_url": api_url, "cloud_id": known.cloud_id, "plain": known.plain}
    kept["plain_token"] = token if known.plain else plain_token(file, api_url)
    durable.write(file, [json.dumps(kept).encode()])


def plain_token(file: Path, api_url: str) -> str | None:
    """The fingerprint of the token that a plain cloud at this API_URL was shown last; None: it was shown none."""
    try:
        found = json.loads(file.read_text())
        token = found.get("plain_token") if found["api_url"] == api_url else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return token if isinstance(token, str) else None


def fingerprint(api_url: str, token: str | None) -> str | None:
    """Enough of a digest to know the token again, too little to be one: 16 hex digits."""
    return None if token is None else hashlib.sha256(f"{api_url}\0{token}".encode()).hexdigest()[:16]
