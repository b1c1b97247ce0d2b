"""Which line of which figure shows the network of a table's row: a page links the row to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from farback.report.group_columns import LABEL_HEADING

MOST_COLUMNS = 12  # that name a group; further columns of a table are numbers


class Shown(NamedTuple):
    """A line, and the name of the figure that has it."""

    figure: str
    line: str


def row_links(shown: pd.DataFrame, figure_of: Mapping[str, str]) -> list[Shown | None]:
    """For each row of a table of texts, the line of its group; None where no figure has it.

    The first columns of a table name the group of a row, as the columns of a figure's table do. A figure may tell fewer
    groups apart than the table: then the line of the first columns alone is meant.

    Args:
        figure_of: the figure of each line, by the line's name.
    """
    heads = ["label" if name == LABEL_HEADING else str(name) for name in shown.columns[:MOST_COLUMNS]]
    return [
        _link(heads, [str(cell) for cell in row[:MOST_COLUMNS]], figure_of)
        for row in shown.itertuples(index=False, name=None)
    ]


def _link(heads: Sequence[str], cells: Sequence[str], figure_of: Mapping[str, str]) -> Shown | None:
    from farback.plots.style import group_name  # matplotlib takes a second to import

    for count in range(len(cells), 0, -1):
        line = group_name(dict(zip(heads[:count], cells[:count], strict=True))).text
        if line in figure_of:
            return Shown(figure_of[line], line)
    whole = cells[0] if cells else ""  # the first cell may be a whole name
    return Shown(figure_of[whole], whole) if whole in figure_of else None
