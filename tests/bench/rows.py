"""What a bench says: rows of figures beside their floors and aims, as a table and as one line of JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """`name` ends in the figure's unit. `floor`: the same done with nothing around it, in the same run."""

    name: str
    figure: float
    floor: float | None = None
    aim: float | None = None
    """At most so much: of the ratio where there is a floor, else of the figure."""

    @property
    def ratio(self) -> float | None:
        """Figure to floor."""
        return self.figure / self.floor if self.floor else None

    @property
    def met(self) -> bool | None:
        """None: nothing is aimed at."""
        if self.aim is None:
            return None
        return (self.figure if self.ratio is None else self.ratio) <= self.aim

    def as_json(self) -> dict[str, Any]:
        """All of it, rounded to what means anything."""
        found = asdict(self) | {"ratio": self.ratio, "met": self.met}
        return {key: _rounded(found[key]) for key in ("name", "figure", "floor", "ratio", "aim", "met")}


def _rounded(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return round(value) if abs(value) >= 1000 else float(f"{value:.3g}")


def table(rows: Sequence[Row]) -> str:
    """For a person."""
    lines = [f"{'':<36} {'figure':>14} {'floor':>10} {'ratio':>7} {'aim':>12}"]
    for row in rows:
        found = {key: "" if value is None else f"{value:,}" for key, value in row.as_json().items() if key != "name"}
        said = {None: "", True: "met", False: "MISSED"}[row.met]
        text = (
            f"{row.name:<36} {found['figure']:>14} {found['floor']:>10} {found['ratio']:>7} {found['aim']:>12} {said}"
        )
        lines.append(text.rstrip())
    return "\n".join(lines)


def last_line(rows: Sequence[Row]) -> str:
    """For a program."""
    return json.dumps([row.as_json() for row in rows])
