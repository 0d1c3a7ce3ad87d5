"""Reads what a device told of itself, whichever version it has: a part that is absent, or is not what it should be, is
unknown. Pure."""

from typing import Any


class Heard:
    """The telemetry of `contract/telemetry.py`, as it is kept."""

    def __init__(self, telemetry: Any) -> None:
        self._told = telemetry

    def part(self, *path: str) -> Any:
        """What lies there, or None."""
        found = self._told
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def number(self, *path: str) -> float | None:
        """A number, or None."""
        found = self.part(*path)
        ours = isinstance(found, int | float) and not isinstance(found, bool)
        return float(found) if ours and abs(found) < 2.0**63 else None

    def word(self, *path: str) -> str | None:
        """A text that is not empty, or None."""
        found = self.part(*path)
        return found if isinstance(found, str) and found else None

    def says(self, *path: str) -> bool | None:
        """Yes or no, or None."""
        found = self.part(*path)
        return found if isinstance(found, bool) else None

    @property
    def metered(self) -> bool:
        """A device that speaks as seldom as it may."""
        return self.says("metered") is True

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """(part, what is wrong with it) of everything that the device itself calls a trouble."""
        found = self.part("reasons")
        lines = [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
        return [(part, rest.strip()) for part, _, rest in (line.partition(":") for line in lines)]
