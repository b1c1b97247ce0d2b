"""Searched parameters as axes: numbers as they are or as logarithms, choices side by side."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from farback.plots.style import Numbers

PREFIX = "param."
LONGEST = 26  # letters of a choice before it is cut
FEW = 6  # numbers, each tried at least twice on average, are shown side by side like choices


@dataclass(frozen=True)
class Scale:
    """How a parameter is drawn. `choices` are its values as text where they stand side by side, in their order."""

    name: str
    log: bool = False
    choices: tuple[str, ...] = ()

    def places(self, values: Sequence[Any] | pd.Series) -> Numbers:
        """Where values lie on the axis, in its data coordinates; nan where a condition left the parameter out."""
        if not self.choices:
            return pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(float)
        at = {choice: float(index) for index, choice in enumerate(self.choices)}
        return np.array([np.nan if pd.isna(value) else at[_text(value)] for value in values])

    def shares(self, values: Sequence[Any] | pd.Series, every: Numbers) -> Numbers:
        """Where values lie between the least (0) and the largest (1) of all."""
        at, least, most = self.places(values), np.nanmin(every), np.nanmax(every)
        if self.log:
            at, least, most = np.log(at), np.log(least), np.log(most)
        return (at - least) / (most - least) if most > least else np.where(np.isnan(at), np.nan, 0.5)

    def number(self, at: float) -> str:
        """The text of a place on the axis."""
        if self.choices:
            text = self.choices[round(at)]
            return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
        return f"{at:.3g}"


def scales(table: pd.DataFrame, log: Collection[str] = ()) -> dict[str, Scale]:
    """The scale of each "param." column that is not empty; `log` names parameters, without the prefix.

    Choices are in the order of their names, numbers in theirs: the axis does not depend on which was tried first.
    """
    found = {}
    for column in table.columns:
        values = table[column].dropna().infer_objects()
        if not str(column).startswith(PREFIX) or values.empty:
            continue
        name = str(column).removeprefix(PREFIX)
        number = is_numeric_dtype(values) and not is_bool_dtype(values)
        distinct = sorted(set(values)) if number else sorted(set(values), key=_text)
        if not number or (1 < len(distinct) <= FEW and len(values) >= 2 * len(distinct)):
            found[str(column)] = Scale(name, choices=tuple(dict.fromkeys(map(_text, distinct))))
        else:
            found[str(column)] = Scale(name, log=name in log and bool((values > 0).all()))
    return found


def parameter_axis(ax: Axes, scale: Scale, every: Numbers) -> None:
    """Make the x axis of a panel that of a parameter."""
    if scale.choices:
        shown = [scale.number(at) for at in range(len(scale.choices))]
        crowded = len(shown) * max(map(len, shown)) > 26
        ax.set_xticks(range(len(shown)), shown, rotation=25 if crowded else 0, ha="right" if crowded else "center")
        ax.set_xlim(-0.6, len(shown) - 0.4)
        return
    if scale.log:
        ax.set_xscale("log")
        decades = np.log10(np.nanmax(every) / np.nanmin(every))
        subs = (1.0,) if decades > 3 else (1.0, 3.0) if decades > 1 else (1.0, 2.0, 5.0)
        ax.xaxis.set_major_locator(LogLocator(10, subs=subs))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def _text(value: Any) -> str:
    """A value as text. Whole numbers lose their point, for a column with gaps holds 32 as 32.0; a component that is
    spelled as JSON becomes "chrono, longest 80"."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.6g}"
    if isinstance(value, str) and value.startswith("{"):
        try:
            parts = dict(json.loads(value))
        except ValueError:
            return value
        return ", ".join([str(parts.pop("name", "")), *(f"{name} {own}" for name, own in parts.items())]).strip(", ")
    return str(value)
