"""The commands that the guides in deployment/ tell people to type."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.pi_host.release import TREE

_PROGRAMS = (
    "sudo ", "visantctl ", "visant-cloud ", "~/addwifi.sh", "/opt/visant/deployment/", "nmcli ", "journalctl ",
    "systemctl ", "shred ", "last ", "deployment/",
)  # fmt: skip
_SPAN = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Shown:
    """One command as a guide shows it, on one line."""

    guide: str
    command: str


def shown() -> list[Shown]:
    """All of them, in the guides' order, each once a guide."""
    found: dict[Shown, None] = {}
    for path in sorted((TREE / "deployment").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        for command in [*blocks(text), *_inline(text)]:
            found[Shown(path.name, command)] = None
    return list(found)


_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[str]:
    """Lines of fenced blocks without a language and of indented ones; `\\` at the end joins two."""
    blocks = [block for language, block in _FENCE.findall(text) if not language]
    blocks += re.findall(r"(?:^    \S.*\n)+", _FENCE.sub("", text), re.MULTILINE)
    lines = [line.strip() for block in blocks for line in re.sub(r"\\\n\s*", "", block).splitlines()]
    return [line for line in lines if not line.startswith(("#", "["))]


def _inline(text: str) -> list[str]:
    """Code within a sentence or a table that begins with a program; what a column `old` holds is nobody's to type."""
    kept, old = [], False
    for line in _FENCE.sub("", text).splitlines():
        old = line.startswith("|") and (old or line.split("|")[1].strip() == "old")
        kept.append("|".join(line.split("|")[2:]) if old else line)
    spans = _SPAN.findall("\n".join(kept))
    return [" ".join(one.split()) for one in spans if one.startswith(_PROGRAMS)]
