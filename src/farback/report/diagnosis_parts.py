"""The table and the figure of why networks fail, as parts of a page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from farback import tables
from farback.report.analysis import Figure, Table
from farback.report.group_columns import group_cells, told_apart
from farback.tables.diagnoses import CAUSES
from farback.tables.grouping import groups
from farback.tables.measure_rows import END, START

NAMED = 0.05  # a cause with a smaller mean share is not listed

By = Sequence[str]


def diagnosed(scores: pd.DataFrame, by: By = ("label",)) -> Table:
    """Why each network fails: the shares of the causes over all seeds and lags at which it does.

    Networks that were trained at one lag, on mixed lags and with a curriculum are told apart.
    """
    by = told_apart(scores, by, ("train_lags",))
    found = tables.diagnoses(scores, by)
    found = found[found["moment"] == (END if END in set(found["moment"]) else START)].reset_index(drop=True)
    caption = (
        "Why networks fail: what is lost, as shares over the networks that do not answer; and in how many of them the "
        "gradient at the lag was noise at the start, and is at the end"
    )
    return Table("diagnoses", caption, found, diagnosis_texts(found, by))


def cause_figure(found: Table) -> Figure:
    """The shares of the causes at each lag, from `diagnosed`."""
    from farback import plots  # matplotlib takes a second to import

    fails, total = int(found.frame["fails"].sum()), int(found.frame["seeds"].sum())
    why = causes_text(found.frame)
    title = f"{fails} of {total} networks fail" + (f": {why}" if why else "")
    alt = "For each network and lag, how many networks answer, and the shares of the causes of the others."
    drawing = plots.causes(found.frame, title=title)
    return Figure(f"{found.name}_causes", "What is lost, at each lag", drawing, found.frame, alt)


def diagnosis_texts(found: pd.DataFrame, by: By) -> pd.DataFrame:
    """A row for each group: at which lags it fails, why, and how many steps after the cue it is lost."""
    rows = []
    for group, own in groups(found, list(by)):
        cells = group_cells(dict(zip(by, group, strict=True)), by)
        failing = own[own["fails"] > 0]
        fails, unknown = int(own["fails"].sum()), int(own["unknown"].sum())
        ends = sorted({int(failing["lag"].min()), int(failing["lag"].max())}) if len(failing) else ["none"]
        cells["fails at lags"] = " to ".join(map(str, ends))
        cells["networks that fail"] = f"{fails}/{own['seeds'].sum()}"
        cells["why"] = causes_text(own) or ("" if not fails else "unknown")
        known = failing[failing["step"].notna()]
        steps = pd.Series(np.repeat(known["step"], known["fails"] - known["unknown"]))
        cells["lost after steps"] = f"{steps.median():.3g}" if len(steps) else ""
        cells["gradient is noise"] = f"{own['not_learnable'].sum()}/{fails}" if fails else ""
        rows.append(cells | {"cause unknown": str(unknown)})
    return pd.DataFrame(rows)


def causes_text(own: pd.DataFrame) -> str:
    """Mean shares of the causes, the largest first, such as "decays 71 %, not written 29 %"."""
    mean = mean_shares(own)
    named = mean[mean >= NAMED]
    return ", ".join(f"{str(name).replace('_', ' ')} {share:.0%}".replace("%", " %") for name, share in named.items())


def mean_shares(own: pd.DataFrame) -> pd.Series[float]:
    """The mean share of each cause over the networks that fail for a known reason, the largest first; else empty."""
    count = own["fails"] - own["unknown"]
    if not count.sum():
        return pd.Series(dtype=float)
    mean = own[list(CAUSES)].fillna(0.0).mul(count, axis=0).sum() / count.sum()
    return mean.sort_values(ascending=False, kind="stable")


def diagnosis_sentence(found: pd.DataFrame, by: By) -> str:
    """The headline: why each network fails, where it does."""
    texts = []
    for group, own in groups(found, list(by)):
        if why := causes_text(own):
            texts.append(f"{', '.join(map(str, group))}: {why}")
    return f"Why networks fail: {'; '.join(texts)}." if texts else ""
