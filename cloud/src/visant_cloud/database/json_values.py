"""JSON values as both databases keep them and every peer can read them."""

import json
from typing import Any

MAX_DEPTH = 32
"""Lists and objects inside each other that JSON values may have; libraries and peers give up at some hundreds."""


def to_json(value: Any) -> str:
    """JSON as the standard has it: NaN and the infinities, which Python would write, become null."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(json.loads(json.dumps(value), parse_constant=lambda name: None))


def from_json(text: str) -> Any:
    """What is stored, such that it can be written again: earlier versions stored what could not."""
    found = json.loads(text)
    suspect = "\\ud" in text or text.count("{") + text.count("[") > MAX_DEPTH
    return clean(found) if suspect else found


def clean(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A JSON value without what cannot be carried on: half a surrogate pair becomes `?`, what lies too deep None."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {clean(key): clean(inner, depth - 1) for key, inner in value.items()} if depth else None
    if isinstance(value, list):
        return [clean(inner, depth - 1) for inner in value] if depth else None
    return value
