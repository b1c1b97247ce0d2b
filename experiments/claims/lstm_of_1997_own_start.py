"""Does an LSTM without forget gates learn as in 1997 if its weights start as they did then?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, held
from farback.report.claim_scripts import Share, answered, chosen, conditions, learning_figure, outcome_tables, share

PREDICTION = (
    "Written before any network was trained from these starts; known is that from PyTorch's none learned any of the "
    "four at the published rates, and the lag of 100 steps at none of 1, 0.3, 0.1 and 0.01. With input gates closed "
    "at first half of the seeds learn the order of two symbols at one of the two rates, and adding with skill 0.5. "
    "Over 100 distractors one cell with an open input gate fills from small weights too: fewer than half of the seeds "
    "learn it at either rate."
)
REFUTED_BY = (
    "Fewer than five of ten seeds at both rates of temporal order (0.625 right) or of adding (skill 0.5); five or more "
    "at a rate of the lag of 100 steps."
)
KIND = "asked"
LABELS = {
    "hs97-adding-own-start": "adding",
    "hs97-temporal-order-own-start": "temporal_order",
    "hs97-lag-100-lstm-own-start": "recall, counted",
    "hs97-distractors-lstm-own-start": "recall, noise",
}
RIGHT = 0.99
EVERY = ("recall, counted", "recall, noise")  # learned in every published trial
BY = [KIND, "optimizer.lr"]


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Shares of seeds by learning rate, and learning curves."""
    named = _with_kind(scores)
    found = tables.outcomes(named, BY)
    headline = "From small weights an LSTM without forget gates learns, at the published rate and at a tenth of it: "
    headline += "; ".join(f"{kind} in {_listed(_shares(found, kind))} of seeds" for kind in LABELS.values())
    parts: list[Table | Figure] = [
        *outcome_tables(found, BY, "The result of each network"),
        learning_figure(named, "An LSTM without forget gates, from small weights", KIND, "optimizer.lr", 0.5),
    ]
    metrics = {f"rate/{kind} lr {lr:g}": one.value for kind in LABELS.values() for lr, one in _shares(found, kind)}
    return Analysis(f"{headline}.", verdict(found), parts, metrics)


def verdict(found: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    lines = [
        held(
            any(one.most for _, one in _shares(found, kind)),
            f"half of the seeds learn {kind.replace('_', ' ')} at one of the rates",
            _listed(_shares(found, kind)),
        )
        for kind in ("temporal_order", "adding")
    ]
    for kind in EVERY:
        shares = _shares(found, kind)
        lines.append(
            held(not any(one.most for _, one in shares), f"fewer than half learn {kind} at either", _listed(shares))
        )
    return lines


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    named = _with_kind(scores)
    found, rows = tables.outcomes(named, BY), {}
    for claim, kind in LABELS.items():
        shares = _shares(found, kind)
        published = shares[0][1]
        if kind in EVERY:
            verdicts = published.successes == published.trials, not any(one.most for _, one in shares)
        else:
            sums = chosen(found, **{KIND: kind, "optimizer.lr": shares[0][0]})["accuracy"]
            published = Share(int((sums >= RIGHT).sum()), len(sums))
            verdicts = published.most, not any(one.successes for _, one in shares)
        text = f"learned by {_listed(shares)}"
        text += "" if kind in EVERY else f"; 0.99 right at lr {shares[0][0]:g} in {published}"
        on = "the learning rate" if kind in EVERY else "the learning rate and the number of sequences"
        run = conditions(named[named[KIND] == kind])
        rows[claim] = answered(text, "share of seeds", *verdicts, on, run, published)
    return rows


def _with_kind(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores with a column for the task and its distractors."""
    recall = scores["task"] == "recall"
    return scores.assign(**{KIND: scores["task"].where(~recall, "recall, " + scores["task.filler"].fillna(""))})


def _shares(found: pd.DataFrame, kind: str) -> list[tuple[float, Share]]:
    """How many seeds learn the task, by learning rate, the published one first."""
    own = chosen(found, **{KIND: kind})
    rates = sorted(set(own["optimizer.lr"]), reverse=True)
    return [(float(lr), share(own, **{"optimizer.lr": lr})) for lr in rates]


def _listed(shares: list[tuple[float, Share]]) -> str:
    return ", ".join(f"{one} at lr {lr:g}" for lr, one in shares)
