"""Taking secrets out of text that leaves the device."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MASK = "********"
_NAMED = re.compile(
    r"(?i)((?:token|password|passwd|psk|secret|auth-?key|api[_-]?key)[\w-]*[\"']?\s*[=:]\s*)([\"']?)[^\s\"',;]+\2"
)
_IN_URL = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/@:]*:[^\s/@]*@", re.IGNORECASE)
_BEARER = re.compile(r"(?i)(bearer\s+)[\w.~+/=-]+")
_PATH_KEYS = ("_FILE",)
_ENV_FILE_LINE = re.compile(r"(\.env\S*: line \d+):.*")


def secrets_of(values: Mapping[str, str]) -> set[str]:
    """The values of settings that are secrets by their name; paths to secrets are none."""
    return {
        value
        for key, value in values.items()
        if value and re.search(r"TOKEN|PASSWORD|SECRET|KEY", key) and not key.endswith(_PATH_KEYS)
    }


def redact(text: str, known: Iterable[str] = ()) -> str:
    """`text` without the `known` secrets, and without what looks like one."""
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, MASK)
    text = _IN_URL.sub(rf"\1{MASK}@", text)
    text = _BEARER.sub(rf"\1{MASK}", text)
    # Compose quotes what it cannot read, to the end of the line and further.
    text = _ENV_FILE_LINE.sub(r"\1: not KEY=VALUE, or a quote does not end", text)
    return "\n".join(line if _is_path(line) else _NAMED.sub(rf"\1{MASK}", line) for line in text.split("\n"))


def _is_path(line: str) -> bool:
    """`DEVICE_TOKEN_FILE=/run/secrets/device_token` helps whoever reads it."""
    return re.match(r"\s*#?\s*[A-Z_]+_FILE=/", line) is not None
