"""The version of an installed package, spelt as the release that it is of.

Imports only the standard library: `version` and `health` must cost nothing.
"""

import re
from importlib import metadata

_PYTHONS = re.compile(r"([0-9]+\.[0-9]+\.[0-9]+)(a|b|rc)([0-9]+)")
_WORDS = {"a": "alpha", "b": "beta", "rc": "rc"}


def release_version(package: str) -> str:
    """For example 2.1.0, or 2.1.0-beta.1, which Python's packages spell 2.1.0b1 (PEP 440)."""
    return _as_release(metadata.version(package))


def _as_release(version: str) -> str:
    if early := _PYTHONS.fullmatch(version):
        numbers, word, count = early.groups()
        return f"{numbers}-{_WORDS[word]}.{count}"
    return version
