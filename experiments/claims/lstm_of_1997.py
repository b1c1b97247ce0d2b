"""Does an LSTM without forget gates learn adding and temporal order from single sequences, as in 1997?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, held
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

PREDICTION = (
    "Written before any of these networks was trained. Half of the seeds learn the temporal order of two symbols "
    "with 0.99 right; adding is learned (skill 0.5) by half of the seeds, but 0.99 within .04 by fewer: the "
    "published learning rate stays where a decaying one would refine."
)
REFUTED_BY = (
    "Fewer than five seeds of ten with 0.99 right at temporal order, or with skill 0.5 at adding; five with 0.99 there."
)
TASKS = {"hs97-adding": "adding", "hs97-temporal-order": "temporal_order"}
RIGHT = 0.99
BY = ["task"]


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Shares of seeds, and learning curves."""
    found = tables.outcomes(scores, BY)
    headline = "From single sequences, an LSTM without forget gates gets 0.99 of the test right: " + "; ".join(
        f"{right(found, task)} seeds at {task.replace('_', ' ')} after {_updates(scores, task)} sequences"
        for task in TASKS.values()
    )
    parts: list[Table | Figure] = [
        *outcome_tables(found, BY, "The result of each network"),
        learning_figure(scores, "An LSTM without forget gates, one sequence an update", "task"),
    ]
    metrics = {f"rate/{task}": right(found, task).value for task in TASKS.values()}
    return Analysis(f"{headline}.", verdict(found), parts, metrics)


def right(found: pd.DataFrame, task: str) -> Share:
    """How many seeds answer 99 % correctly."""
    own = chosen(found, task=task)["accuracy"]
    return Share(int((own >= RIGHT).sum()), len(own))


def verdict(found: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    order, sums, learned = right(found, "temporal_order"), right(found, "adding"), share(found, task="adding")
    return [
        held(order.most, "half of the seeds learn temporal order", str(order)),
        held(learned.most, "half of the seeds learn adding with skill 0.5", str(learned)),
        held(~sums.most, "fewer are right within .04 in 0.99 of the sums", str(sums)),
    ]


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    found, rows = tables.outcomes(scores, BY), {}
    for claim, task in TASKS.items():
        one, learned, accuracy = right(found, task), share(found, task=task), middle(found, "accuracy", task=task)
        rows[claim] = answered(
            f"{one} with 0.99 right after {_updates(scores, task)} sequences; right in the median {accuracy}",
            "share of seeds",
            conditions(scores[scores["task"] == task]),
            confirmed=one.most,
            refuted=~learned.most,
            reason="seeds learn it, but it is open whether half of them get 0.99 right",
            of=one,
        )
    return rows


def _updates(scores: pd.DataFrame, task: str) -> int:
    return int(scores[scores["task"] == task]["steps"].iloc[0])
