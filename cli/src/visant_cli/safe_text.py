"""What others wrote, as a terminal may show it: letters of every script stay, what acts on a terminal is spelt out.

Pure.

A name or a detail comes from whoever may set it. An escape sequence in it could repaint the screen, a line break could
forge a row, and a direction override could show a name backwards (Trojan Source, CVE-2021-42574).
"""

import json
import re
import unicodedata
from typing import Any

_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
"""Control characters (C0, DEL, C1), line separators, direction marks and overrides, what is not seen at all, halves of
surrogate pairs. Not U+200C and U+200D: Persian, Indic scripts and emoji need them.
"""
_TAGS = re.compile("[\U000e0000-\U000e007f]")
"""Invisible copies of ASCII."""


def shown(text: object) -> str:
    """`text` in one line: what would act on a terminal as `\\x1b` or `\\u202e`, everything else as it is."""
    return _TAGS.sub(_spelt, _HARMFUL.sub(_spelt, str(text)))


def _spelt(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x100:
        return {9: "\\t", 10: "\\n", 13: "\\r"}.get(code, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def json_text(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON that is the same value for a program and harms no terminal."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    pieces = []
    for piece in re.split(r"(\n *)", text) if indent else [text]:  # line breaks between values are ours
        pieces.append(piece if piece[:1] == "\n" else _TAGS.sub(_escaped, _HARMFUL.sub(_escaped, piece)))
    return "".join(pieces)


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]


def file_name(text: str, *, longest: int = 100) -> str:
    """`text` as one part of a path: no separator, no dot in front, nothing that a file system or a shell minds."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "_", plain)[:longest].lstrip(".-") or "_"
