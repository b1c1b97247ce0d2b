"""The page of `farback backtest`: does the law of learning time predict the trainings at longer lags?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from farback import stats, tables
from farback.report.analysis import Analysis, Figure, Table, held
from farback.report.claim_scripts import Middle
from farback.report.evidence import at_least
from farback.report.group_columns import groups
from farback.report.page import Page, publish
from farback.tables.grouping import as_text
from farback.tables.grouping import groups as split

NAME = "backtest"
QUESTION = (
    "Does the law of learning time, fitted to short lags, predict the trainings at twice and four times as long ones?"
)
LEAST = 0.85  # share of trainings that nominal 90 % intervals must hold
FACTORS = (2, 4)
NOTES = [
    "Write this page again from the store: `farback backtest`",
    "For each network of a sweep that was trained at three lags or more, and each lag L that leaves longer ones, the "
    "law is fitted to the trainings at lags up to L, of which five or more must have learned their lag. It predicts, "
    "with a 90 % interval, after how many updates a fresh seed learns a lag in (L, 2 L], and in (2 L, 4 L].",
    "A training is predicted if the time in which it learned its lag, between two evaluations, touches the interval. "
    "One that ended before it had learned is predicted if the interval does not end before its last update. That is "
    "easy where the law expects long times, so trainings that learned stand beside.",
    "A share is the mean over networks; its 95 % interval is a bootstrap over networks and their trainings. The same "
    "training counts for each L below its lag.",
]


def predicted(scores: pd.DataFrame) -> pd.DataFrame:
    """The backtest of every network of a sweep that was trained at one lag: `tables.learning_time_backtest`.

    Returns:
        network (the name), then the columns of the backtest; without rows if no network has trainings enough.
    """
    fixed = scores[(scores["train_lags"] == "fixed") & (scores["trained_lag"] > 0)]
    if fixed.empty or not {"steps"} <= set(fixed.columns):
        return pd.DataFrame()
    by = groups(fixed)
    found = tables.learning_time_backtest(fixed, by)
    names = [as_text(row, by) for row in found[by].itertuples(index=False, name=None)]
    return found.drop(columns=by).assign(network=names)


def backtest(sweeps: Mapping[str, pd.DataFrame]) -> Analysis:
    """The page of all sweeps, from `predicted` of each, by name."""
    each = [own.assign(experiment=name) for name, own in sweeps.items() if len(own)]
    whole = pd.concat(each, ignore_index=True) if each else pd.DataFrame()
    rows = pd.DataFrame([_row(name, own) for name, own in sweeps.items()])
    lines, texts = [], []
    for factor in FACTORS:
        own = whole[whole["factor"] == factor] if len(whole) else whole
        if len(own):
            share = covered(own)
            text = f"{own['predicted'].sum()} of {own['trainings'].sum()} trainings at lags up to {factor} L"
            texts.append(f"{text} ({_percent(share)})")
            lines.append(
                held(at_least(share, LEAST), f"90 % intervals hold 85 % or more at {factor} L", _percent(share))
            )
    count = int(rows["networks"].gt(0).sum()) if len(rows) else 0
    headline = (
        f"Fitted to lags up to L, the law of learning time predicts {' and '.join(texts)}, in {count} of {len(rows)} "
        "sweeps that are stored."
        if texts
        else f"None of {len(rows)} stored sweeps has trainings at three lags or more that test the law."
    )
    parts: list[Table | Figure] = [Table("sweeps", "Every stored sweep", rows, _shown(rows))]
    if len(whole):
        failures = whole[whole["share"] < LEAST].reset_index(drop=True)
        failures = failures[["experiment", "network", *(c for c in failures if c not in ("experiment", "network"))]]
        caption = f"Where the intervals hold less than {LEAST:.0%} of the trainings".replace("%", " %")
        parts.append(Table("failures", caption, failures, _failures(failures)))
    return Analysis(headline, lines or ["Nothing was tested."], parts)


def covered(own: pd.DataFrame) -> Middle:
    """The mean over networks of the share of trainings that were predicted, with its interval."""
    strata = []
    for _, part in split(own, ["experiment", "network"]):
        hits, total = int(part["predicted"].sum()), int(part["trainings"].sum())
        strata.append(np.repeat([1.0, 0.0], [hits, total - hits]))
    return Middle(float(np.mean([one.mean() for one in strata])), *stats.two_stage_bootstrap(strata))


def _row(name: str, own: pd.DataFrame) -> dict[str, object]:
    row: dict[str, object] = {"experiment": name, "networks": own["network"].nunique() if len(own) else 0}
    for factor in FACTORS:
        part = own[own["factor"] == factor].assign(experiment=name) if len(own) else own
        counts = ("trainings", "predicted", "learned", "learned_predicted")
        row |= {f"{column}_{factor}": int(part[column].sum()) if len(part) else 0 for column in counts}
        share = covered(part) if len(part) else Middle(np.nan, np.nan, np.nan)
        row |= {f"share_{factor}": share.value, f"low_{factor}": share.low, f"high_{factor}": share.high}
    return row


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    texts = []
    for row in rows.to_dict("records"):
        cells = {"experiment": row["experiment"], "networks tested": str(row["networks"])}
        for factor in FACTORS:
            tried = row[f"trainings_{factor}"]
            share = Middle(*(row[f"{end}_{factor}"] for end in ("share", "low", "high")))
            cells[f"predicted up to {factor} L"] = f"{row[f'predicted_{factor}']}/{tried}" if tried else ""
            cells[f"share up to {factor} L"] = _percent(share) if tried else ""
            cells[f"of those that learned, {factor} L"] = (
                f"{row[f'learned_predicted_{factor}']}/{row[f'learned_{factor}']}" if tried else ""
            )
        shares = [row[f"share_{factor}"] for factor in FACTORS if row[f"trainings_{factor}"]]
        cells["85 % or more"] = ("yes" if min(shares) >= LEAST else "**no**") if shares else "nothing to test"
        texts.append(cells)
    return pd.DataFrame(texts)


def _failures(failures: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "experiment": failures["experiment"],
            "network": failures["network"],
            "fitted up to lag": failures["fitted_to"].astype(str),
            "lags predicted": "up to " + (failures["fitted_to"] * failures["factor"]).astype(str),
            "predicted": failures["predicted"].astype(str) + "/" + failures["trainings"].astype(str),
            "law": failures["law"],
            "law fits": failures["fits"].map({True: "yes", False: "no"}),
        }
    )


def _percent(share: Middle) -> str:
    return f"{share.value:.0%}, {share.low:.0%} to {share.high:.0%}".replace("%", " %")


def write_backtest(sweeps: Mapping[str, pd.DataFrame], folder: Path) -> Page:
    """Write the page and its numbers; equal trainings give equal bytes."""
    context = {"name": NAME, "question": QUESTION, "command": "farback backtest", "notes": NOTES}
    return publish(backtest(sweeps), folder, "noted.md.j2", context)
