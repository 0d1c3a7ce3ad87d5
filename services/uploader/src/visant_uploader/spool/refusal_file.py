"""Which items were refused and for how long, kept in a small file of the spool. Blocking."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visant_runtime import durable

FILE_NAME = "refused.json"


def recall(file: Path) -> dict[str, Any]:
    """By name of the outcome's file; a file that cannot be read counts as empty: the day of each begins anew."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return {name: one for name, one in found.items() if isinstance(one, dict)} if isinstance(found, dict) else {}


def remember(file: Path, records: Mapping[str, Any]) -> None:
    """Durably. Raises OSError."""
    durable.write(file, [json.dumps(records).encode()])
