"""Charts as SVG: lines on two axes, and for a table's cell a ratio with its interval, or a share.

Places are in units of the picture, from its upper left corner. Colours come from the style sheet, by class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dirag.evaluate.page.markup import Fragments, Html, joined

COLOURS = 8  # classes s0 to s7 of the style sheet; more series use them again

_WIDTH, _HEIGHT = 460, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 44

_HTML = Fragments("charts.html")


@dataclass(frozen=True, slots=True)
class Axis:
    """A labelled range with the places of its ticks."""

    label: str
    ticks: Sequence[float]

    def share(self, value: float) -> float:
        """Returns where a value lies, 0 at the first tick and 1 at the last one."""
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
    """Returns ticks 0.1 or 0.05 apart, from below the least of some ratios to above the largest."""
    # In floats 0.3 / 0.05 is 5.999…: without the 1e-9 an axis would begin a step too low.
    step = 0.05 if max(values) - min(values) < 0.3 else 0.1
    low, high = math.floor(min(values) / step + 1e-9), math.ceil(max(values) / step - 1e-9)
    return [round(step * i, 2) for i in range(low, max(high, low + 1) + 1)]


def lines(title: str, series: Sequence[Series], *, x: Axis, y: Axis, diagonal: bool = False) -> Html:
    """Returns a figure of lines, with a legend where there are several; ``diagonal`` is where x equals y."""
    drawing = [_axes(x, y)]
    if diagonal:
        (x0, y0), (x1, y1) = (_place(x, y, at, at) for at in (0, 1))
        drawing.append(_HTML.fill("diagonal", x0=_tenths(x0), y0=_tenths(y0), x1=_tenths(x1), y1=_tenths(y1)))
    drawing += [_series(number, one, x, y) for number, one in enumerate(series)]
    return _HTML.fill(
        "figure",
        title=title,
        width=_WIDTH,
        height=_HEIGHT,
        drawing=joined(drawing),
        legend=_legend(series) if len(series) > 1 else "",
    )


def meter(value: float, low: float, high: float) -> Html:
    """Returns a ratio as a dot and its interval as a line, from 0 to 1; the figures stand beside it."""
    at, left, right = (_tenths(4 + 112 * share) for share in (value, low, high))
    return _HTML.fill("meter", value=at, low=left, high=right)


def bar(share: float) -> Html:
    """Returns a share of 1 as a bar; the figure stands beside it."""
    return _HTML.fill("bar", end=_tenths(120 * share))


def _tenths(place: float) -> str:
    # A tenth of a unit is less than one sees: more digits would only make the page longer.
    return f"{place:.1f}"


def _place(x: Axis, y: Axis, at: float, value: float) -> tuple[float, float]:
    across = _LEFT + (_WIDTH - _LEFT - _RIGHT) * x.share(at)
    return across, _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * y.share(value)


def _axes(x: Axis, y: Axis) -> Html:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    up, across = [], []
    for tick in y.ticks:
        _, at = _place(x, y, x.ticks[0], tick)
        # Text stands on its baseline: 4 units lower, its middle is beside the tick.
        places = {"at": _tenths(at), "baseline": _tenths(at + 4), "before": _LEFT - 8}
        up.append(_HTML.fill("tick-up", left=_LEFT, right=right, value=f"{tick:g}", **places))
    for tick in x.ticks:
        at, _ = _place(x, y, tick, y.ticks[0])
        across.append(
            _HTML.fill("tick-across", at=_tenths(at), bottom=bottom, below=bottom + 19, value=f"{tick:g}")
        )
    return _HTML.fill(
        "axes",
        up=joined(up),
        across=joined(across),
        middle_across=(_LEFT + right) / 2,
        middle_up=(_TOP + bottom) / 2,
        foot=_HEIGHT - 6,
        label_across=x.label,
        label_up=y.label,
    )


def _legend(series: Sequence[Series]) -> Html:
    entries = (
        _HTML.fill("entry", colour=number % COLOURS, name=one.name) for number, one in enumerate(series)
    )
    return _HTML.fill("legend", entries=joined(entries))


def _series(number: int, series: Series, x: Axis, y: Axis) -> Html:
    drawn = (map(_tenths, _place(x, y, *point)) for point in series.points)
    # Scores lie close together, and a run may have thousands: points that would look the same are drawn once.
    places = list(dict.fromkeys(tuple(place) for place in drawn))
    path = "L".join(" ".join(place) for place in places)
    has_dots = series.dots or len(places) == 1  # a line of one point would not be seen
    return _HTML.fill(
        "series",
        colour=number % COLOURS,
        line=_HTML.fill("line", places=path) if path else "",
        intervals=joined(
            _interval(*_place(x, y, at, low), _place(x, y, at, high)[1])
            for (at, _), (low, high) in zip(series.points, series.bars, strict=False)
        ),
        dots=joined(_HTML.fill("dot", x=a, y=b) for a, b in places) if has_dots else "",
    )


def _interval(across: float, low: float, high: float) -> Html:
    return _HTML.fill(
        "interval", across=_tenths(across), left=_tenths(across - 4), low=_tenths(low), high=_tenths(high)
    )
