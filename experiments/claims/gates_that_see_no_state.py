"""How many layers do minGRU and minLSTM need to copy selectively, and does a GRU need more than one?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, above, at_least, below, held
from farback.report.claim_scripts import Middle, answered, conditions, learning_figure, middle, outcome_tables
from farback.report.evidence import all_of

PREDICTION = (
    "Written before any of these networks was trained on this task. With 16 tokens in 64 steps one layer of minGRU "
    "or minLSTM stays below half of the tokens: which token comes next depends on how many were written, which a "
    "gate that sees the input alone cannot know. Two layers are better by 0.2 or more. In 2000 updates no network "
    "copies all 16, and one layer of GRU, whose gates see the state, does no worse than two of minGRU. Four tokens "
    "of an alphabet of six are learned by three layers of minGRU with an accuracy of 0.9 at least."
)
REFUTED_BY = (
    "One layer with half of the 16 tokens right; two layers within 0.2 of one; a median accuracy of 0.99 on 16 "
    "tokens; a GRU more than 0.02 below two layers of minGRU; three layers of minGRU below 0.9 on four tokens."
)
MANY, FEW = 16, 4
BY = ["cell", "depth", "task.tokens"]
AHEAD, NEAR, HALF = 0.2, 0.02, 0.5
UNDECIDED = "none learns it for certain within these updates, 200 times fewer than published"


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Accuracies by cell, depth and number of tokens."""
    found = tables.outcomes(scores, BY)
    each = {cell: [accuracy(found, cell, depth) for depth in (1, 2, 3)] for cell in ("minGRU", "minLSTM")}
    headline = (
        f"Of {MANY} tokens in 64 steps, one, two and three layers copy after {scores['steps'].iloc[0]} updates: "
        + "; ".join(f"{cell} {', '.join(f'{one.value:.0%}' for one in own)}" for cell, own in each.items())
        + f"; one layer of GRU {accuracy(found, 'GRU', 1).value:.0%} (medians over seeds, chance 7 %)."
    )
    named = scores.assign(tokens=scores["task.tokens"].map("{} tokens".format))
    parts: list[Table | Figure] = [
        *outcome_tables(found, BY, "The result of each network"),
        learning_figure(named, "Learning to copy selectively", "tokens"),
    ]
    metrics = {f"accuracy/{cell} {at}": one.value for cell, own in each.items() for at, one in enumerate(own, 1)}
    return Analysis(headline, verdict(found), parts, metrics)


def verdict(found: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    lines = []
    for cell in ("minGRU", "minLSTM"):
        one, two = accuracy(found, cell, 1), accuracy(found, cell, 2)
        lines.append(held(below(one, 0.5), f"one layer of {cell} copies less than half of {MANY} tokens", str(one)))
        lines.append(
            held(at_least(two.minus(one), AHEAD), f"two layers of {cell} are ahead by {AHEAD}", f"{one} and {two}")
        )
    many = [Middle.of(own["accuracy"]) for _, own in found[found["task.tokens"] == MANY].groupby(["cell", "depth"])]
    best = max(many, key=lambda one: one.value)
    lines.append(held(all_of(below(one, 0.99) for one in many), f"none copies all {MANY} tokens", f"{best} at best"))
    gru, two = accuracy(found, "GRU", 1), accuracy(found, "minGRU", 2)
    text = f"{gru} against {two}"
    lines.append(held(at_least(gru.minus(two), -NEAR), "one layer of GRU does no worse than two of minGRU", text))
    small = accuracy(found, "minGRU", 3, FEW)
    lines.append(held(at_least(small, 0.9), f"three layers of minGRU copy {FEW} tokens", str(small)))
    return lines


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    found = tables.outcomes(scores, BY)
    deep = {cell: accuracy(found, cell, 3) for cell in ("minGRU", "minLSTM")}
    small = accuracy(found, "minGRU", 3, FEW)
    many = scores[scores["task.tokens"] == MANY]
    rows = {f"{cell.lower()}-depth": _depth(found, cell, conditions(many[many["cell"] == cell])) for cell in deep}
    rows["mingru-above-minlstm"] = answered(
        f"accuracy {deep['minGRU']} against {deep['minLSTM']}",
        "accuracy of minGRU",
        conditions(many[many["depth"] == 3]),
        confirmed=above(deep["minGRU"], deep["minLSTM"]) & at_least(deep["minGRU"], HALF),
        refuted=above(deep["minLSTM"], deep["minGRU"]) & at_least(deep["minLSTM"], HALF),
        reason=UNDECIDED,
        of=deep["minGRU"],
    )
    rows["mingru-small"] = answered(
        small,
        "accuracy",
        conditions(scores[scores["task.tokens"] == FEW]),
        confirmed=at_least(small, 0.99),
        refuted=below(small, 0.9),
        reason="the interval is not above 0.99, nor below 0.9",
    )
    return rows


def _depth(found: pd.DataFrame, cell: str, run: str) -> Finding:
    one, two, three = (accuracy(found, cell, depth) for depth in (1, 2, 3))
    return answered(
        f"accuracy {one}, {two} and {three} with 1, 2 and 3 layers",
        "accuracy with 3 layers",
        run,
        confirmed=at_least(two.minus(one), AHEAD) & at_least(three.minus(two), -NEAR),
        refuted=at_least(one, HALF) & at_least(one.minus(two), -NEAR),
        reason=UNDECIDED,
        of=three,
    )


def accuracy(found: pd.DataFrame, cell: str, depth: int, tokens: int = MANY) -> Middle:
    """The share of correct tokens."""
    return middle(found, "accuracy", cell=cell, depth=depth, **{"task.tokens": tokens})
