"""Does gradient descent find a memory of 4, 10 or 100 steps in one recurrent unit, and in one LSTM cell of 1997?

Repeats Table 2 of Hochreiter and Schmidhuber 1997, in their setting unless a column of the config says otherwise.
"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, at_most, held
from farback.report.claim_scripts import (
    Share,
    answered,
    chosen,
    conditions,
    learning_figure,
    middle,
    outcome_tables,
    share,
)
from farback.report.evidence import any_of, exact

PREDICTION = (
    "Written before any of these networks was trained. Cross-entropy has a steeper gradient than squared error, so "
    "the single unit learns lag 4 at least as often as published, and at lr 1 in most seeds. Lag 10 is learned by "
    "few or none, lag 100 by none: a unit that forgets gets no gradient from the cue. The LSTM of 1997 learns 100 "
    "steps in every seed, with fixed distractors and with random ones."
)
REFUTED_BY = (
    "Fewer than half of the seeds at lag 4 and lr 1; half of the seeds at lag 10 at any rate; one at lag 100; an "
    "LSTM that fails in one seed."
)
SHARE = "share of seeds"
UNIT, CELL = "RNN sigmoid", "LSTM"
BY = ["cell", "task.filler", "optimizer.lr"]
PATIENCE = {"counted": 2 * 5040, "noise": 2 * 5680}
NAMES = {"counted": "hs97-lag-100-lstm", "noise": "hs97-distractors-lstm"}


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """The share of seeds that learn each lag, and learning curves."""
    found = tables.outcomes(scores, BY)
    short = _at(found, 4)
    headline = (
        "One recurrent unit learns a noise-free lag of 4 steps in "
        + ", ".join(f"{one} of seeds at a learning rate of {lr:g}" for lr, one in short.items())
        + f"; of 10 steps in {_all(found, 10)}, of 100 in {_all(found, 100)}; one LSTM cell of 1997 of 100 in "
        + f"{share(_cell(found, 'counted'))}."
    )
    parts: list[Table | Figure] = [
        *outcome_tables(found, BY, "Shares of seeds that learn both sequences"),
        learning_figure(
            scores[scores["cell"] == CELL].assign(between=lambda own: "distractors " + own["task.filler"]),
            "The LSTM of 1997 over 100 steps",
            "between",
            "label",
        ),
    ]
    metrics = {f"rate/{UNIT} lag 4 lr {lr:g}": one.value for lr, one in short.items()}
    return Analysis(headline, verdict(found), parts, metrics)


def verdict(found: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    short, ten = _at(found, 4), _at(found, 10)
    lines = [held(short[1.0].most, "at lag 4 and a learning rate of 1 the unit learns in most seeds", str(short[1.0]))]
    lines.append(held(~any_of(one.most for one in ten.values()), "few or none learn lag 10", _listed(ten)))
    lines.append(held(_all(found, 100).none, "none learns lag 100", str(_all(found, 100))))
    for filler in PATIENCE:
        one = share(_cell(found, filler))
        lines.append(held(one.every, f"the LSTM learns it with {filler} distractors", str(one)))
    return lines


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    found = tables.outcomes(scores, BY)
    short, ten, hundred = _at(found, 4), _at(found, 10), _all(found, 100)
    slow, fast = short[min(short)], short[max(short)]
    unit = scores[scores["cell"] == UNIT]
    run = {lag: conditions(unit[unit["trained_lag"] == lag]) for lag in (4, 10, 100)}
    able = {lag: _soon(found, int(unit[unit["trained_lag"] == lag]["steps"].max())) for lag in (10, 100)}
    none = {lag: exact(able[lag]) & _all(found, lag).none for lag in able}
    unable = "this training does not learn a lag of 4 steps from as many sequences either"
    learns_4 = any(one.successes for one in short.values())
    rows = {
        "hs97-lag-4": answered(
            f"{_listed(short)}; the lowest and the highest rate differ by p = {slow.difference_p(fast):.2g}",
            SHARE,
            run[4],
            confirmed=slow.more_often(fast),
            refuted=fast.more_often(slow),
            reason="the shares at the lowest and the highest rate do not differ significantly"
            if learns_4
            else "no seed learned it within these sequences",
            of=short[1.0],
        ),
        "hs97-lag-10": answered(
            _listed(ten),
            SHARE,
            run[10],
            confirmed=none[10],
            refuted=~_all(found, 10).none,
            reason=unable,
            of=_all(found, 10),
        ),
        "hs97-lag-100": answered(hundred, SHARE, run[100], confirmed=none[100], refuted=~hundred.none, reason=unable),
    }
    for filler, name in NAMES.items():
        one, needed = share(_cell(found, filler)), middle(_cell(found, filler), "updates")
        own = conditions(scores[(scores["cell"] == CELL) & (scores["task.filler"] == filler)])
        last = int(scores[scores["cell"] == CELL]["steps"].max())
        text = f"{one}; {needed} sequences in the median" if one.successes else f"{one} within {last} sequences"
        rows[name] = answered(
            text,
            SHARE,
            own,
            confirmed=one.every & at_most(needed, PATIENCE[filler]),
            refuted=~one.most,
            reason="some seeds fail, or need more sequences than published, but it is open whether most do",
            of=one,
        )
    return rows


def _soon(found: pd.DataFrame, sequences: int) -> bool:
    """Whether the unit learns lag 4 within this number of sequences in at least one seed."""
    own = chosen(found, cell=UNIT, lag=4)
    return bool((own["passed"] & (own["updates"] <= sequences)).any())


def _listed(shares: dict[float, Share]) -> str:
    return "; ".join(f"{one} at lr {lr:g}" for lr, one in shares.items())


def _at(found: pd.DataFrame, lag: int) -> dict[float, Share]:
    """How many seeds of the single unit learn a lag, by learning rate."""
    own = chosen(found, cell=UNIT, lag=lag)
    return {float(lr): share(own, **{"optimizer.lr": lr}) for lr in sorted(set(own["optimizer.lr"]))}


def _cell(found: pd.DataFrame, filler: str) -> pd.DataFrame:
    """The outcomes of the LSTM with these distractors."""
    return chosen(found, cell=CELL, **{"task.filler": filler})


def _all(found: pd.DataFrame, lag: int) -> Share:
    return share(found, cell=UNIT, lag=lag)
