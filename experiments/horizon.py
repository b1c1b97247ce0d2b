"""How far back can each recurrent network learn to look, and what do depth and initialisation change?

Every network is trained at one lag. The sweep is: RNN tanh, RNN relu, GRU, LSTM x lag x depth x initialisation x seed.
"""

import pandas as pd

from farback import plots, tables
from farback.report import Analysis, Figure, Ladder, Table, all_of, at_most, held, listed, metrics, trained
from farback.report.claim_scripts import Share, mean_horizon
from farback.report.sweep_report import shown

PREDICTION = (
    "Initialisation moves the horizon more than the cell does: from PyTorch's default every cell stops below 80 steps "
    "at every depth, from the recommended start GRU and LSTM pass 160. Depth does not lengthen the horizon of any "
    "cell: a stack adds delay, not a slower decay, and makes the path for the gradient longer."
)
REFUTED_BY = (
    "A default-initialised network that half of the seeds train at lag 80; a one-layer gated cell from chrono that "
    "fails at 160; or a cell for which three layers reach farther than one from both starts."
)
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
    headline = (
        f"Within {scores['steps'].iloc[0]} updates at one lag, half of the seeds of one-layer networks bridge: "
        f"{listed(single[0].frame, ['label'])}."
    )
    return Analysis(headline, verdict(horizons, success), parts, metrics({"trainability": horizons}, BY))


def verdict(horizons: pd.DataFrame, success: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    default = success[(success["init"] == "torch") & (success["lag"] == 80)].to_dict("records")
    found = [f"{row['cell']} with {row['depth']} layers" for row in default if row["rate"] >= 0.5]
    none = all_of(~Share(row["successes"], row["trials"]).most for row in default)
    lines = [held(none, "no default-initialised network learns lag 80", ", ".join(found))]
    for cell in GATED:
        own = success[(success["cell"] == cell) & (success["init"] == "chrono") & (success["depth"] == 1)]
        rate = [Share(row["successes"], row["trials"]) for row in own[own["lag"] == 160].to_dict("records")]
        text = f"{rate[0]} of seeds" if rate else "not run"
        lines.append(held(rate[0].most if rate else False, f"one layer of {cell} from chrono learns lag 160", text))
    for name, own in horizons.groupby("cell"):
        reach = own.pivot(index="init", columns="depth", values="estimate")
        if {1, 3} <= set(reach.columns):
            horizon = {(row["init"], row["depth"]): mean_horizon(row) for row in own.to_dict("records")}
            farther = all_of(~at_most(horizon[init, 3], horizon[init, 1]) for init in reach.index)
            text = "; ".join(f"{init}: {row[1]:.3g} to {row[3]:.3g} steps" for init, row in reach.iterrows())
            lines.append(held(~farther, f"three layers of {name} do not reach farther than one", text))
    return lines
