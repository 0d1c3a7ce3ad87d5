"""What one check says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["PASS", "WARN", "FAIL"]


@dataclass(frozen=True)
class Finding:
    """FAIL: pictures do not get through, or soon will not. WARN: they do, and somebody should know."""

    check: str
    level: Level
    text: str
    remedy: str = ""
    """What to do; of WARN and FAIL."""
    fix: tuple[str, ...] = ()
    """A command that `--fix` may run: never one that could cost a picture."""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {key: value for key, value in asdict(self).items() if value}

    def as_text(self) -> str:
        """One line, and one for the remedy."""
        line = f"{self.level}  {self.check:<10} {self.text}"
        return f"{line}\n                 {self.remedy}" if self.remedy else line


def good(check: str, text: str) -> Finding:
    """PASS."""
    return Finding(check, "PASS", text)


def warn(check: str, text: str, remedy: str, fix: str = "") -> Finding:
    """WARN."""
    return Finding(check, "WARN", text, remedy, tuple(fix.split()))


def fail(check: str, text: str, remedy: str, fix: str = "") -> Finding:
    """FAIL."""
    return Finding(check, "FAIL", text, remedy, tuple(fix.split()))
