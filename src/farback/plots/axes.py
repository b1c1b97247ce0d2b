"""Axes: ticks at chosen places, the logarithmic lag axis, and markers side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from farback.plots.style import Numbers

MOST_LABELS = 12  # lags that are labelled one by one
PANEL = 3.4  # inches of the figure for a panel; labels fit side by side by the shares in `without_overlap`


def fixed_ticks(axis: Axis, ticks: Sequence[float], text: Callable[[float], str] = "{:.10g}".format) -> None:
    """Put ticks at these places only, without minor ticks."""
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))


def lag_axis(ax: Axes, lags: Sequence[float]) -> None:
    """Make the x axis log2 and label the lags where labels fit; lag 0 is drawn one doubling left of the smallest.

    If there are many lags, the smallest and its doublings are labelled instead.
    """
    distinct = sorted({float(lag) for lag in lags})
    positive = [lag for lag in distinct if lag > 0]
    if positive and distinct[0] == 0:
        ax.set_xscale("symlog", base=2, linthresh=positive[0], linscale=1)
    elif positive:
        ax.set_xscale("log", base=2)
        ax.set_xlim(distinct[0] / 1.35, distinct[-1] * 1.35)
    if len(positive) > MOST_LABELS:
        doublings = int(math.log2(positive[-1] / positive[0]))
        distinct = distinct[: -len(positive)] + [positive[0] * 2**power for power in range(doublings + 1)]
    positions = [math.log2(lag or positive[0] / 2) if positive else 0.0 for lag in distinct]
    place, figure = ax.get_subplotspec(), ax.get_figure()
    columns = place.get_gridspec().ncols if place else 1
    narrower = max(1.0, PANEL * columns / figure.figure.get_figwidth()) if figure else 1.0
    fixed_ticks(ax.xaxis, without_overlap(distinct, positions, narrower * (positions[-1] - positions[0] + 1)))


def without_overlap(numbers: Sequence[float], positions: Sequence[float], length: float) -> list[float]:
    """The ascending numbers whose labels fit on an axis without overlap; the largest is always included.

    `positions` and `length` (of the axis) have the same unit.
    """
    kept = [len(numbers) - 1]
    for index in range(len(numbers) - 2, -1, -1):
        digits = len(f"{numbers[kept[-1]]:.10g}")
        width = 0.075 if digits <= 3 else 0.03 * digits  # of a label, as a share of the axis of a panel
        if positions[kept[-1]] - positions[index] >= width * length:
            kept.append(index)
    return [numbers[index] for index in sorted(kept)]


def text_beside(ax: Axes, height: float, text: str, place: float = 1.02, **style: Any) -> None:
    """Write text at a height in data coordinates; `place` is its horizontal place as a share of the panel's width."""
    ax.annotate(text, (place, height), xycoords=("axes fraction", "data"), va="center", **style)


def inner_ticks(ax: Axes) -> None:
    """Drop the ticks outside the limits of a linear axis: they are not drawn, but the layout reserves room for them."""
    for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
        axis.set_ticks([tick for tick in axis.get_majorticklocs() if low <= tick <= high])


def doublings(smallest: float, largest: float) -> list[float]:
    """The smallest lag and its doublings up to the largest."""
    return [smallest * 2.0**step for step in range(math.floor(math.log2(largest / smallest) + 1e-9) + 1)]


def curve_ticks(largest: float, smallest: float = 0, digits: Sequence[int] = (1, 2, 5)) -> list[float]:
    """Ticks for a curve of many lags: the smallest lag, and 1, 2, 5, 10... up to the largest."""
    steps = [digit * 10.0**power for power in range(7) for digit in digits]
    return [smallest, *(lag for lag in steps if smallest < lag <= largest)]


def dodged(lags: Sequence[float], index: int, count: int) -> Numbers:
    """Lags shifted a little, so that the markers of `count` groups at one lag are side by side on a log axis."""
    places: Numbers = np.asarray(lags, float)
    distinct = np.unique(places[places > 0])
    gap = float(np.diff(np.log2(distinct)).min()) if len(distinct) > 1 else 1.0
    step = min(0.16, 0.5 * gap / max(1, count))
    return places * float(2.0 ** ((index - (count - 1) / 2) * step))
