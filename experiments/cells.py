"""Which recurrent cell remembers best when every one has the same number of parameters?

The four problems need different kinds of memory: recall (one symbol, long), nback (a buffer), copy (a list, in
order), adding (two real numbers among many). Each network has the initialisation of PyTorch or of its authors, and on
each problem the best of three learning rates, chosen on seeds that are not counted.
"""

import pandas as pd

from farback.report import Analysis, Ladder, above, conditions, exact, held, sized
from farback.report.claim_scripts import Middle
from farback.report.measure_parts import ranked
from farback.report.sweep_report import tuning

PLACE = 10  # in results/index.html: the order of the questions in README
PREDICTION = (
    "Written for one learning rate, Adam 3e-3, before any of these networks was trained on these settings and before "
    "rates were tuned. "
    "LRU, which starts with units that remember for hundreds of steps, is among the first three. GRU stands above "
    "LSTM, whose gates at the start forget half of the state at every step. GRU stands above minGRU, whose gates do "
    "not see the state. A tanh RNN stands above the echo state network, the same recurrence untrained. No network "
    "succeeds with every seed on all four problems within 1000 updates; the memoryless control succeeds nowhere."
)
REFUTED_BY = (
    "LRU in fourth place or below; LSTM above GRU, minGRU above GRU, or the echo state network above the tanh RNN in "
    "the mean over problems; a network with all 20 successes; a success of the memoryless control, which "
    "would mean that a task leaks its answer."
)
ABOVE = (("GRU", "LSTM"), ("GRU", "minGRU"), ("RNN tanh", "echo state"))
CONTROLS = ("memoryless", "leaky 0.9", "shift_register", "echo state")
FIRST = 3
BY = ["cell"]


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """The ranking, and whether the prediction held."""
    parts = ranked(scores, BY)
    frames = {part.name: part.frame for part in parts}
    ranking, pairs = frames["ranking"], frames["improvement"]
    first = ", ".join(
        f"{row['cell']} {row['mean']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        for row in ranking.head(FIRST).to_dict("records")
    )
    headline = (
        f"Of {len(ranking)} networks on {ranking['problems'].iloc[0]} problems "
        f"({conditions(scores.drop(columns='task'))}), the mean skill over the problems is highest for: {first}."
    )
    metrics = {f"mean/{row['cell']}": float(row["mean"]) for row in ranking.to_dict("records")}
    return Analysis(
        headline, verdict(ranking, pairs), [*parts, *tuning(scores, [*BY, "task"]), *sized(scores, BY)], metrics
    )


def verdict(ranking: pd.DataFrame, pairs: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    place = {cell: at for at, cell in enumerate(ranking["cell"], 1)}
    mean = dict(zip(ranking["cell"], ranking["mean"], strict=True))
    successes = dict(zip(ranking["cell"], ranking["successes"], strict=True))
    lines = []
    if "LRU" in place:
        lines.append(held(place["LRU"] <= FIRST, f"LRU is among the first {FIRST}", f"place {place['LRU']}"))
    for a, b in ABOVE:
        if a in place and b in place:
            (pair,) = pairs[(pairs["a"] == a) & (pairs["b"] == b)].to_dict("records")
            says = f"{mean[a]:.2f} against {mean[b]:.2f}; a seed of {a} is better with probability "
            says += f"{pair['probability']:.2f} ({pair['low']:.2f} to {pair['high']:.2f})"
            better = Middle(pair["probability"], pair["low"], pair["high"])
            lines.append(held(above(better, 0.5), f"{a} stands above {b}", says))
    whole = ranking[(ranking["successes"] == ranking["trials"]) & ~ranking["cell"].isin(CONTROLS)]["cell"].tolist()
    lines.append(held(exact(not whole), "no network succeeds with every seed on every problem", ", ".join(whole)))
    if "memoryless" in place:
        leaks = successes["memoryless"]
        lines.append(held(exact(leaks == 0), "the memoryless control succeeds nowhere", f"{leaks} successes"))
    return lines
