"""At one budget of parameters, do more layers or another nonlinearity let a simple RNN learn to look farther back?

Every network is trained at one lag, from an orthogonal recurrent matrix. The sweep is: nine nonlinearities x one to
three layers; each network has the best of three learning rates, and lags are chosen during the run. Deeper networks
have narrower layers, so that all have the same number of parameters.
"""

import pandas as pd

from farback import plots, tables
from farback.report import Analysis, Figure, Ladder, Table, all_of, at_least, at_most, held, metrics, sized, trained
from farback.report.claim_scripts import mean_horizon
from farback.report.sweep_report import learned_sentence, shown

PLACE = 3  # in results/index.html: the order of the questions in README
PREDICTION = (
    "Written before any of these networks was trained, for one learning rate, Adam 3e-3. The slope at rest decides, "
    "depth does not: with one layer, the nonlinearities of slope 1 at zero that keep both signs (identity, tanh, sin, "
    "softsign, modrelu) learn lag 20, while sigmoid (slope 1/4) and gelu (slope 1/2) do not. At equal parameters no "
    "nonlinearity reaches farther with three layers than with one. Without any nonlinearity the horizon is the "
    "longest, for an orthogonal matrix then keeps every gradient."
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
    one = scores[scores["depth"] == 1]
    headline = f"With one layer: {learned_sentence(one, single[0].frame, ['cell'])}"
    return Analysis(headline, verdict(horizons), parts, *metrics({"trainability": horizons}))


def verdict(horizons: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    rows = {(row["cell"], row["depth"]): row for row in horizons.to_dict("records")}
    horizon = {key: mean_horizon(row) for key, row in rows.items()}
    lines = []
    for name in (*STEEP, *FLAT):
        cell = f"RNN {name}"
        if (cell, 1) in rows:
            learns = at_least(horizon[cell, 1], REACH)
            claim = f"one layer of {cell} {'learns' if name in STEEP else 'does not learn'} lag {REACH}"
            lines.append(held(learns if name in STEEP else ~learns, claim, rows[cell, 1]["horizon"]))
    reach = horizons.pivot(index="cell", columns="depth", values="estimate")
    if {1, 3} <= set(reach.columns):
        deeper = reach[reach[3] > reach[1]]
        text = "; ".join(
            f"{cell}: from {rows[cell, 1]['horizon']} to {rows[cell, 3]['horizon']}" for cell in deeper.index
        )
        none = all_of(at_most(horizon[cell, 3], horizon[cell, 1]) for cell in reach.dropna(subset=[1, 3]).index)
        lines.append(held(none, "three layers do not reach farther than one at equal parameters", text))
    if "RNN identity" in reach.index and 1 in reach.columns:
        beyond = reach.index[reach[1] > reach.loc["RNN identity", 1]].tolist()
        text = ", ".join(f"{cell} {rows[cell, 1]['horizon']}" for cell in ["RNN identity", *beyond])
        shorter = all_of(at_most(horizon[cell, 1], horizon["RNN identity", 1]) for cell in reach[1].dropna().index)
        lines.append(held(shorter, "none reaches farther than the identity with one layer", text))
    return lines
