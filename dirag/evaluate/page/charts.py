"""Charts as SVG, drawn here: lines on two axes, and a figure with its interval for a table's cell.

Colours come from the page's style sheet by class. Every text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLOURS = 8  # classes s0 to s7 of the style sheet; more series use them again

_WIDTH, _HEIGHT = 460, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 44


@dataclass(frozen=True, slots=True)
class Axis:
    """A labelled range with the places of its ticks."""

    label: str
    ticks: Sequence[float]

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the first tick and 1 at the last one."""
        return (value - self.ticks[0]) / ((self.ticks[-1] - self.ticks[0]) or 1.0)


@dataclass(frozen=True, slots=True)
class Series:
    """Points in drawing order; ``bars`` are intervals of y, one a point, ``dots`` marks the points."""

    name: str
    points: Sequence[tuple[float, float]]
    bars: Sequence[tuple[float, float]] = ()
    dots: bool = True


RATIO = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def around(values: Sequence[float]) -> list[float]:
    """Ticks a tenth apart, or a half of that, from below the least of some ratios to above the largest."""
    step = 0.05 if max(values) - min(values) < 0.3 else 0.1
    low, high = math.floor(min(values) / step + 1e-9), math.ceil(max(values) / step - 1e-9)
    return [round(step * i, 2) for i in range(low, max(high, low + 1) + 1)]


def lines(title: str, series: Sequence[Series], *, x: Axis, y: Axis, diagonal: bool = False) -> str:
    """A figure of lines with a legend where there are several; ``diagonal`` shows where x equals y."""
    drawn = [_frame(x, y)]
    if diagonal:
        (x0, y0), (x1, y1) = (_place(x, y, at, at) for at in (0, 1))
        drawn.append(f'<path class="even" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"/>')
    drawn += [_line(number, each, x, y) for number, each in enumerate(series)]
    legend = "".join(
        f'<li><svg class="key s{i % COLOURS}" viewBox="0 0 16 10" width="16" height="10" aria-hidden="true">'
        f'<path class="line" d="M0 5H16"/></svg>{escape(each.name)}</li>'
        for i, each in enumerate(series)
    )
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg class="chart" role="img" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-label="{escape(title)}">{"".join(drawn)}</svg>'
        f"{f'<ul class=legend>{legend}</ul>' if len(series) > 1 else ''}</figure>"
    )


def meter(value: float, low: float, high: float) -> str:
    """A ratio as a dot and its interval as a line, from 0 to 1; the figures stand beside it as text."""
    at, left, right = (4 + 112 * each for each in (value, low, high))
    return (
        '<svg class="meter" viewBox="0 0 120 12" width="120" height="12" aria-hidden="true">'
        f'<path class="rail" d="M4 6H116"/><path class="bar" d="M{left:.1f} 6H{right:.1f}"/>'
        f'<circle class="dot" cx="{at:.1f}" cy="6" r="3.5"/></svg>'
    )


def bar(share: float) -> str:
    """A share of 1 as a bar; the figure stands beside it as text."""
    return (
        '<svg class="meter" viewBox="0 0 120 12" width="120" height="12" aria-hidden="true">'
        f'<path class="share" d="M0 6H{120 * share:.1f}"/></svg>'
    )


def _place(x: Axis, y: Axis, at: float, value: float) -> tuple[float, float]:
    across = _LEFT + (_WIDTH - _LEFT - _RIGHT) * x.share(at)
    return across, _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * y.share(value)


def _frame(x: Axis, y: Axis) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    drawn = []
    for tick in y.ticks:
        _, at = _place(x, y, x.ticks[0], tick)
        drawn.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{right}"/>')
        drawn.append(f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in x.ticks:
        at, _ = _place(x, y, tick, y.ticks[0])
        drawn.append(f'<path class="grid" d="M{at:.1f} {bottom}v5"/>')
        drawn.append(f'<text x="{at:.1f}" y="{bottom + 19}" text-anchor="middle">{tick:g}</text>')
    middle = (_LEFT + right) / 2, (_TOP + bottom) / 2
    drawn.append(f'<text x="{middle[0]}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x.label)}</text>')
    turned = f'transform="translate(12 {middle[1]}) rotate(-90)" text-anchor="middle"'
    drawn.append(f"<text {turned}>{escape(y.label)}</text>")
    return "".join(drawn)


def _line(number: int, series: Series, x: Axis, y: Axis) -> str:
    places = [f"{a:.1f} {b:.1f}" for a, b in (_place(x, y, *point) for point in series.points)]
    places = list(dict.fromkeys(places))  # scores lie close together; what is not seen is not drawn
    drawn = [f'<path class="line" d="M{"L".join(places)}"/>'] if places else []
    for (at, _), (low, high) in zip(series.points, series.bars, strict=False):
        (across, bottom), (_, top) = _place(x, y, at, low), _place(x, y, at, high)
        drawn.append(
            f'<path class="error" d="M{across:.1f} {bottom:.1f}V{top:.1f}'
            f'M{across - 4:.1f} {bottom:.1f}h8M{across - 4:.1f} {top:.1f}h8"/>'
        )
    if series.dots or len(places) == 1:
        drawn += [
            f'<circle class="dot" cx="{a}" cy="{b}" r="3.5"/>' for a, b in (at.split() for at in places)
        ]
    return f'<g class="s{number % COLOURS}">{"".join(drawn)}</g>'
