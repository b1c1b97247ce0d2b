"""Does an LSTM without forget gates learn as in 1997 if its weights start as they did then?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, held
from farback.report.claim_scripts import Share, answered, chosen, conditions, learning_figure, outcome_tables, share
from farback.report.evidence import any_of

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
            any_of(one.most for _, one in _shares(found, kind)),
            f"half of the seeds learn {kind.replace('_', ' ')} at one of the rates",
            _listed(_shares(found, kind)),
        )
        for kind in ("temporal_order", "adding")
    ]
    for kind in EVERY:
        shares = _shares(found, kind)
        lines.append(
            held(~any_of(one.most for _, one in shares), f"fewer than half learn {kind} at either", _listed(shares))
        )
    return lines


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    named = _with_kind(scores)
    found, rows = tables.outcomes(named, BY), {}
    for claim, kind in LABELS.items():
        shares = _shares(found, kind)
        solved = [one for _, one in shares] if kind in EVERY else [_right(found, kind, lr) for lr, _ in shares]
        published, slow = solved
        goals = [one.every if kind in EVERY else one.most for one in solved]
        text = f"learned by {_listed(shares)}"
        text += "" if kind in EVERY else f"; 0.99 right at lr {shares[0][0]:g} in {published}"
        rows[claim] = answered(
            text,
            "share of seeds",
            conditions(named[named[KIND] == kind]),
            confirmed=goals[0],
            refuted=~any_of(one.most for _, one in shares),
            depends=~published.most & goals[1],
            on=f"the learning rate: {slow} at a tenth of the published one",
            reason="seeds learn it, but it is open whether enough of them do at the published rate",
            of=published,
        )
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


def _right(found: pd.DataFrame, kind: str, rate: float) -> Share:
    """How many seeds answer 99 % correctly at a learning rate."""
    own = chosen(found, **{KIND: kind, "optimizer.lr": rate})["accuracy"]
    return Share(int((own >= RIGHT).sum()), len(own))


def _listed(shares: list[tuple[float, Share]]) -> str:
    return ", ".join(f"{one} at lr {lr:g}" for lr, one in shares)
