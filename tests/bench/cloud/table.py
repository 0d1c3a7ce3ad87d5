"""Figures judged against their aims, and the table of them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import quantiles


@dataclass(frozen=True)
class Row:
    """`name` ends in the unit. `floor`: the bare work, measured in the same run. `met`: None without an aim.

    A figure that should be had and could not is None. Aims are of several kinds here, so each says its own.
    """

    name: str
    figure: float | None
    floor: float | None = None
    ratio: float | None = None
    aim: str = ""
    met: bool | None = None


def told(name: str, figure: float | None, floor: float | None = None) -> Row:
    """A figure without an aim of its own."""
    return Row(name, figure, floor, _ratio(figure, floor))


def at_most_times(name: str, figure: float | None, floor: float | None, most: float) -> Row:
    """Aim: at most so many times the floor. A figure that could not be had misses it."""
    ratio = _ratio(figure, floor)
    return Row(name, figure, floor, ratio, f"<= {most:g} x floor", ratio is not None and ratio <= most)


def at_least_times(name: str, figure: float | None, floor: float | None, least: float) -> Row:
    """Aim: at least so many times the floor."""
    ratio = _ratio(figure, floor)
    return Row(name, figure, floor, ratio, f">= {least:g} x floor", ratio is not None and ratio >= least)


def at_most(name: str, figure: float | None, most: float, floor: float | None = None) -> Row:
    """Aim: at most `most`."""
    met = figure is not None and figure <= most
    return Row(name, figure, floor, _ratio(figure, floor), f"<= {most:g}", met)


def at_most_more(name: str, figure: float | None, floor: float | None, most: float) -> Row:
    """Aim: at most so much more than the floor."""
    met = figure is not None and floor is not None and figure <= floor + most
    return Row(name, figure, floor, _ratio(figure, floor), f"<= floor + {most:g}", met)


def _ratio(figure: float | None, floor: float | None) -> float | None:
    return figure / floor if figure is not None and floor is not None and floor > 0 else None


def percentile(values: Sequence[float | None], percent: int) -> float | None:
    """Of those that there are; None where they are fewer than two."""
    there = [value for value in values if value is not None]
    return quantiles(there, n=100, method="inclusive")[percent - 1] if len(there) > 1 else None


def shown(row: Row) -> str:
    """One line."""
    met = {None: "", True: "met", False: "MISSED"}[row.met]
    figures = " ".join(f"{_number(value):>10}" for value in (row.figure, row.floor, row.ratio))
    return f"{row.name:<72} {figures}  {row.aim:<16} {met}"


def heading() -> str:
    """Above the lines."""
    return f"{'':<72} {'figure':>10} {'floor':>10} {'ratio':>10}  {'aim':<16} met"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def last_line(rows: Sequence[Row], **more: object) -> str:
    """All of it as one line of JSON; figures with four digits that count."""
    entries = [
        {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in asdict(row).items()}
        for row in rows
    ]
    return json.dumps({**more, "rows": entries})
