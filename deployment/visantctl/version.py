"""Order of version numbers."""

from __future__ import annotations

import re

_NUMBER = "(0|[1-9][0-9]*)"
_WORD = "(?:0|[1-9][0-9]*|[0-9]*[A-Za-z][0-9A-Za-z]*)"
_FORM = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_WORD}(?:\.{_WORD})*))?")
"""Without leading zeros, as semver.org says: `1.02.0` and `1.2.0` would be equal in order and two paths."""


def is_version(text: str) -> bool:
    """True for `1.2.3` and `1.2.3-beta.1`. Only such text ever becomes a path or a tag."""
    return len(text) <= 64 and _FORM.fullmatch(text) is not None


def order(version: str) -> tuple[object, ...]:
    """Sort key as semver.org orders: `1.2.0-beta.2 < 1.2.0-beta.10 < 1.2.0 < 1.10.0`.

    >>> order("1.2.0-beta.2") < order("1.2.0-beta.10") < order("1.2.0") < order("1.10.0")
    True
    """
    match = _FORM.fullmatch(version)
    if match is None:
        raise ValueError(f"{version!r} is not a version")
    numbers = tuple(int(part) for part in match.group(1, 2, 3))
    if match.group(4) is None:
        return (*numbers, 1)
    words = tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in match.group(4).split("."))
    return (*numbers, 0, words)
