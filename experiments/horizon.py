"""How far back can each recurrent network learn to look, and what do depth and initialisation change?

Every network is trained at one lag, at the best of three learning rates. The sweep is: RNN tanh, RNN relu, GRU, LSTM x
depth x initialisation; lags and seeds are chosen during the run.
"""

import pandas as pd

from farback import plots, tables
from farback.report import Analysis, Figure, Ladder, Table, all_of, at_least, at_most, below, held, metrics, trained
from farback.report.claim_scripts import mean_horizon
from farback.report.sweep_report import learned_sentence, shown

PLACE = 2  # in results/index.html: the order of the questions in README
PREDICTION = (
    "Written for one learning rate, Adam 3e-3, before rates were tuned. "
    "Initialisation moves the horizon more than the cell does: from PyTorch's default every cell stops below 80 steps "
    "at every depth, from the recommended start GRU and LSTM pass 160. Depth does not lengthen the horizon of any "
    "cell: a stack adds delay, not a slower decay, and makes the path for the gradient longer."
)
REFUTED_BY = (
    "A default-initialised network that half of the seeds train at lag 80; a one-layer gated cell from chrono that "
    "fails at 160; or a cell for which three layers reach farther than one from both starts."
)
FAR, FARTHEST = 80, 160
GATED = ("GRU", "LSTM")
BY = ["cell", "init", "depth"]


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Horizons over cell, initialisation and depth, and whether the prediction held."""
    horizons = tables.trainability(scores, BY)
    success = tables.success_by_lag(scores, BY)
    grid = tables.horizon_grid(scores, "depth", ["cell", "init"])
    single = trained(scores[scores["depth"] == 1], family=["cell", "init"], within=["cell"])
    parts: list[Table | Figure] = [
        Table("horizons", "Horizon of every cell, initialisation and depth", horizons, shown(horizons, BY, success)),
        Figure(
            "horizon_map",
            "Horizon over depth, cell and initialisation",
            plots.horizon_map(grid),
            grid,
            "A map of the horizon in steps: a row for each depth, a column for each cell and initialisation.",
        ),
        *single,
    ]
    headline = f"With one layer: {learned_sentence(scores[scores['depth'] == 1], single[0].frame, ['label'])}"
    return Analysis(headline, verdict(horizons), parts, *metrics({"trainability": horizons}))


def verdict(horizons: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    default = horizons[horizons["init"] == "torch"].to_dict("records")
    far = [f"{row['cell']}, depth {row['depth']}: {row['horizon']}" for row in default if row["high"] > FAR]
    none = all_of(below(mean_horizon(row), FAR) for row in default)
    lines = [held(none, f"no default-initialised network learns lag {FAR}", "; ".join(far))]
    for cell in GATED:
        own = horizons[(horizons["cell"] == cell) & (horizons["init"] == "chrono") & (horizons["depth"] == 1)]
        for row in own.to_dict("records"):
            learns = at_least(mean_horizon(row), FARTHEST)
            lines.append(held(learns, f"one layer of {cell} from chrono learns lag {FARTHEST}", row["horizon"]))
    for name, own in horizons.groupby("cell"):
        reach = own.pivot(index="init", columns="depth", values="horizon")
        if {1, 3} <= set(reach.columns):
            horizon = {(row["init"], row["depth"]): mean_horizon(row) for row in own.to_dict("records")}
            farther = all_of(~at_most(horizon[init, 3], horizon[init, 1]) for init in reach.index)
            text = "; ".join(f"{init}: from {row[1]} to {row[3]}" for init, row in reach.iterrows())
            lines.append(held(~farther, f"three layers of {name} do not reach farther than one", text))
    return lines
