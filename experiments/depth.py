"""At one budget of parameters, do more layers or another nonlinearity let a simple RNN learn to look farther back?

Every network is trained at one lag, from an orthogonal recurrent matrix. The sweep is: nine nonlinearities x one to
three layers x lag. Deeper networks have narrower layers, so that all have the same number of parameters.
"""

import pandas as pd

from farback import plots, tables
from farback.report import Analysis, Figure, Ladder, Table, all_of, at_most, held, listed, metrics, sized, trained
from farback.report.claim_scripts import Share, mean_horizon
from farback.report.sweep_report import shown

PREDICTION = (
    "Written before any of these networks was trained on these settings. The slope at rest decides, depth does not: "
    "with one layer, the nonlinearities of slope 1 at zero that keep both signs (identity, tanh, sin, softsign, "
    "modrelu) learn lag 20, while sigmoid (slope 1/4) and gelu (slope 1/2) do not. At equal parameters no nonlinearity "
    "reaches farther with three layers than with one. Without any nonlinearity the horizon is the longest, for an "
    "orthogonal matrix then keeps every gradient."
)
REFUTED_BY = (
    "One of identity, tanh, sin, softsign, modrelu that fails at lag 20 with one layer for most seeds; sigmoid or gelu "
    "that learns it for half of them; a nonlinearity whose mean horizon is longer with three layers than with one; a "
    "nonlinearity whose mean horizon with one layer is longer than that of the identity."
)
REACH, STEEP, FLAT = 20, ("identity", "tanh", "sin", "softsign", "modrelu"), ("sigmoid", "gelu")
BY = ["cell", "depth"]


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Horizons over nonlinearity and depth, and whether the prediction held."""
    horizons, success = tables.trainability(scores, BY), tables.success_by_lag(scores, BY)
    grid = tables.horizon_grid(scores, "cell", "depth")
    single = trained(scores[scores["depth"] == 1], ["cell"])
    parts: list[Table | Figure] = [
        Table("horizons", "Horizon of every nonlinearity and depth", horizons, shown(horizons, BY, success)),
        Figure(
            "horizon_map",
            "Horizon over nonlinearity and depth",
            plots.horizon_map(grid),
            grid,
            "A map of the horizon in steps: a row for each nonlinearity, a column for each number of layers.",
        ),
        *single,
        *sized(scores, BY),
    ]
    first = scores.iloc[0]
    headline = (
        f"With up to {first['match'].split()[1]} parameters and {first['steps']} updates at one lag, half of the seeds "
        f"of one-layer networks bridge: {listed(single[0].frame, ['cell'])}."
    )
    return Analysis(headline, verdict(horizons, success), parts, metrics({"trainability": horizons}, BY))


def verdict(horizons: pd.DataFrame, success: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    at = success[(success["depth"] == 1) & (success["lag"] == REACH)].to_dict("records")
    rate = {row["cell"]: Share(row["successes"], row["trials"]) for row in at}
    lines = []
    for name in (*STEEP, *FLAT):
        cell = f"RNN {name}"
        if cell in rate:
            learns, text = rate[cell].most, f"{rate[cell]} of seeds"
            claim = f"one layer of {cell} {'learns' if name in STEEP else 'does not learn'} lag {REACH}"
            lines.append(held(learns if name in STEEP else ~learns, claim, text))
    horizon = {(row["cell"], row["depth"]): mean_horizon(row) for row in horizons.to_dict("records")}
    reach = horizons.pivot(index="cell", columns="depth", values="estimate")
    if {1, 3} <= set(reach.columns):
        deeper = reach[reach[3] > reach[1]]
        text = "; ".join(f"{cell}: {row[1]:.3g} to {row[3]:.3g} steps" for cell, row in deeper.iterrows())
        none = all_of(at_most(horizon[cell, 3], horizon[cell, 1]) for cell in reach.dropna(subset=[1, 3]).index)
        lines.append(held(none, "three layers do not reach farther than one at equal parameters", text))
    if "RNN identity" in reach.index and 1 in reach.columns:
        beyond = reach.index[reach[1] > reach.loc["RNN identity", 1]].tolist()
        text = ", ".join(f"{cell} {reach.loc[cell, 1]:.3g}" for cell in ["RNN identity", *beyond])
        shorter = all_of(at_most(horizon[cell, 1], horizon["RNN identity", 1]) for cell in reach[1].dropna().index)
        lines.append(held(shorter, "none reaches farther than the identity with one layer", text))
    return lines
