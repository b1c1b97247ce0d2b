"""Axes for searched parameters: numbers on a linear or logarithmic axis, choices side by side."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from farback.plots.style import Numbers

PREFIX = "param."
LONGEST = 26  # letters of a choice's label; longer labels are cut
FEW = 6  # up to this many numbers are drawn side by side like choices, if each was tried at least twice on average


@dataclass(frozen=True)
class Scale:
    """How a searched parameter is drawn on an axis.

    Attributes:
        name: without "param.".
        choices: the values as text, in their order on the axis; empty for numbers on an axis.
    """

    name: str
    log: bool = False
    choices: tuple[str, ...] = ()

    def places(self, values: pd.Series) -> Numbers:
        """Positions of values on the axis, in data coordinates; nan where a condition left the parameter out."""
        if not self.choices:
            return pd.to_numeric(values, errors="coerce").to_numpy(float)
        return np.array([np.nan if pd.isna(value) else self.choices.index(_text(value)) for value in values], float)

    def shares(self, values: pd.Series, every: Numbers) -> Numbers:
        """Where values lie on the axis, as shares: 0 is the smallest of the positions `every`, and 1 the largest."""
        places, least, most = self.places(values), np.nanmin(every), np.nanmax(every)
        if self.log:
            places, least, most = np.log(places), np.log(least), np.log(most)
        return (places - least) / (most - least) if most > least else np.where(np.isnan(places), np.nan, 0.5)

    def text(self, place: float) -> str:
        """The text for a position on the axis."""
        if not self.choices:
            return f"{place:.3g}"
        text = self.choices[round(place)]
        return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def scales(table: pd.DataFrame, log: Collection[str] = ()) -> dict[str, Scale]:
    """The scale of each "param." column that is not empty; `log` has names of parameters, without the prefix.

    Choices are sorted by name and numbers by value, so that the axis does not depend on which value was tried first.
    """
    result = {}
    for column in table.columns:
        values = table[column].dropna().infer_objects()
        if not str(column).startswith(PREFIX) or values.empty:
            continue
        name = str(column).removeprefix(PREFIX)
        is_number = is_numeric_dtype(values) and not is_bool_dtype(values)
        distinct = sorted(set(values), key=None if is_number else _text)
        if not is_number or (1 < len(distinct) <= FEW and len(values) >= 2 * len(distinct)):
            result[str(column)] = Scale(name, choices=tuple(dict.fromkeys(map(_text, distinct))))
        else:
            result[str(column)] = Scale(name, log=name in log and bool((values > 0).all()))
    return result


def parameter_axis(ax: Axes, scale: Scale, places: Numbers) -> None:
    """Set up the x axis of a panel for a parameter with trials at these positions."""
    if scale.choices:
        texts = [scale.text(place) for place in range(len(scale.choices))]
        crowded = len(texts) * max(map(len, texts)) > 26
        ax.set_xticks(range(len(texts)), texts, rotation=25 if crowded else 0, ha="right" if crowded else "center")
        ax.set_xlim(-0.6, len(texts) - 0.4)
        return
    if scale.log:
        ax.set_xscale("log")
        decades = np.log10(np.nanmax(places) / np.nanmin(places))
        ax.xaxis.set_major_locator(LogLocator(10, (1.0,) if decades > 3 else (1.0, 3.0) if decades > 1 else (1, 2, 5)))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def _text(value: Any) -> str:
    """A value as text: 32 for 32.0, because columns with gaps hold floats, and "chrono, longest 80" for a component's
    JSON."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.6g}"
    if isinstance(value, str) and value.startswith("{"):
        try:
            parts = dict(json.loads(value))
        except ValueError:
            return value
        return ", ".join([str(parts.pop("name", "")), *(f"{name} {own}" for name, own in parts.items())]).strip(", ")
    return str(value)
