"""The columns of MLflow's table of runs, in the terms of its page: which are shown, in which order, how wide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

METRICS = "metrics"
RUN, CREATED, DURATION = "attributes.`Run Name`", "runDateAndNestInfo", "duration"  # the page's own
# In pixels, where the page's own width hides what matters
WIDTHS = {RUN: 290, CREATED: 140, "params.`cell`": 150, "params.`lag`": 70, "params.`seed`": 70}
GROUP_WIDTHS = {RUN: 420, CREATED: 60}  # a group is called by its parameters, and was never created...
MEAN_WIDTH = 150  # ...and "(average)" stands behind its metrics


def named(kind: str, names: Sequence[str]) -> tuple[str, ...]:
    """The columns of parameters ("params"), metrics or tags."""
    return tuple(f"{kind}.`{name}`" for name in names)


def layout(columns: Sequence[str], grouped: bool) -> dict[str, Any]:
    """The page's state of a table with these columns, in this order.

    Args:
        columns: those shown beside the page's own.
        grouped: whether rows are groups of runs.
    """
    wide = GROUP_WIDTHS if grouped else WIDTHS
    means = [name for name in columns if name.startswith(METRICS)] if grouped else []
    return {
        "selectedColumns": list(columns),
        "columnOrder": [RUN, CREATED, *columns, DURATION],  # the page's own order has the parameters last
        "columnWidths": {
            **{name: wide[name] for name in (RUN, CREATED, *columns) if name in wide},
            **dict.fromkeys(means, MEAN_WIDTH),
        },
    }
