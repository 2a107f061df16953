"""Plot of the charts as an SVG file, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.rows import Bar, Chart

_WIDTH: Final = 740
_NAMES: Final = 270
"""Width of the column with the names."""
_FIGURES: Final = 70
_LINE: Final = 22
_BAR: Final = 14
_TITLE: Final = 44
_OURS: Final = "#c15f3c"
_OTHERS: Final = "#8a94a6"


def plot(charts: Sequence[Chart]) -> str:
    """Return the charts, one below the other."""
    parts: list[str] = []
    top = 0
    for chart in charts:
        parts += _chart(chart, top)
        top += _TITLE + len(chart.bars) * _LINE + 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}" '
        'font-family="sans-serif" font-size="13">\n'
        f'<rect width="{_WIDTH}" height="{top}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _chart(chart: Chart, top: int) -> list[str]:
    most = max(bar.value for bar in chart.bars)
    scale = (_WIDTH - _NAMES - _FIGURES - 12) / most
    lines = [f'<text x="12" y="{top + 27}" font-weight="bold" fill="#1f2328">{escape(chart.title)}</text>']
    for position, bar in enumerate(chart.bars):
        lines += _bar(bar, chart.unit, scale, top + _TITLE + position * _LINE)
    return lines


def _bar(bar: Bar, unit: str, scale: float, top: int) -> list[str]:
    width, middle = max(bar.value * scale, 1), top + _BAR - 3
    weight = ' font-weight="bold"' if bar.ours else ""
    value = f"{bar.value:,.0f}" if bar.value >= 100 else f"{bar.value:.2f}"
    return [
        f'<text x="{_NAMES - 8}" y="{middle}" text-anchor="end" fill="#1f2328"{weight}>{escape(bar.name)}</text>',
        f'<rect x="{_NAMES}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2" '
        f'fill="{_OURS if bar.ours else _OTHERS}"/>',
        f'<text x="{_NAMES + width + 6:.1f}" y="{middle}" fill="#1f2328"{weight}>{value}{escape(unit)}</text>',
    ]
