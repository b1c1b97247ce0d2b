"""Maps side by side: what was seen, what came, and what each network expected."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from farback.plots.style import RC

WIDEST = 6  # maps in a row
WORDS = {"observed": "observed", "truth": "what was struck", "bayes": "Bayes oracle"}


def maps(table: pd.DataFrame) -> Figure:
    """One panel for each map, all on one scale of probability.

    Args:
        table: columns label (whose forecast; "" for what belongs to no network), map (observed, truth, bayes,
            predicted), pixel (row by row), value (0 to 1).
    """
    shown = {
        (str(label), str(kind)): part.sort_values("pixel")["value"].to_numpy(float)
        for (label, kind), part in table.groupby(["label", "map"], sort=False)
    }
    columns = min(WIDEST, len(shown))
    rows = math.ceil(len(shown) / columns)
    with mpl.rc_context({**RC, "axes.grid": False}):
        figure = Figure(figsize=(1.55 * columns + 1.0, 1.75 * rows + 0.9), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
        for empty in axes.flat[len(shown) :]:
            empty.set_axis_off()
        image = None
        for ax, ((label, kind), value) in zip(axes.flat, shown.items(), strict=False):
            side = math.isqrt(len(value))
            image = ax.imshow(np.reshape(value, (side, side)), vmin=0, vmax=1, cmap="cividis", interpolation="nearest")
            ax.set_title(WORDS.get(kind, label).replace(", ", ",\n"), fontsize=8.5)
            ax.set(xticks=[], yticks=[])
        assert image is not None  # a table has rows
        figure.colorbar(
            image, ax=axes[:, -1].tolist() if rows > 1 else axes, label="probability of a strike", shrink=0.9
        )
        figure.suptitle("One day: what was observed, what came, what each expected", x=0.01, ha="left")
    return figure
