"""Rows of the table, and bars of the plot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

HEADINGS: Final = ("what", "measured", "baseline", "goal", "")


@dataclass(frozen=True)
class Row:
    """One measured figure with its goal."""

    what: str
    measured: float | None
    """None if it could not be measured here; ``baseline`` says why."""
    unit: str
    """Empty for a ratio."""
    baseline: str
    """Baseline that the figure is a ratio to, or how it was taken."""
    goal: float
    at_least: bool = False
    """True if the figure has to reach the goal, and not to stay below it."""

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        return "pass" if (self.measured >= self.goal if self.at_least else self.measured <= self.goal) else "short"

    def cells(self) -> tuple[str, ...]:
        sign = "≥" if self.at_least else "≤"
        measured = "-" if self.measured is None else _shown(self.measured, self.unit)
        return self.what, measured, self.baseline, f"{sign} {_shown(self.goal, self.unit)}", self.verdict


@dataclass(frozen=True)
class Bar:
    """One library's cost of the same work."""

    name: str
    value: float
    ours: bool = False


@dataclass(frozen=True)
class Chart:
    """Bars of one panel."""

    title: str
    unit: str
    bars: Sequence[Bar]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table of Markdown, which a terminal shows as well."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    shown.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(shown)


def as_json(rows: Sequence[Row], charts: Sequence[Chart], about: dict[str, str]) -> str:
    """Return the figures of one run."""
    data = {
        "about": about,
        "rows": [{**asdict(row), "verdict": row.verdict} for row in rows],
        "charts": [asdict(chart) for chart in charts],
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _shown(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()
