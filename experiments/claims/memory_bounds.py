"""Do networks respect the bounds on memory capacity and on Fisher memory, and how accurate is simulation?"""

import numpy as np
import pandas as pd

from farback import plots, tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, at_least, below, exact, held
from farback.report.claim_scripts import Middle, Share, answered
from farback.report.evidence import all_of, any_of

PREDICTION = (
    "These are theorems, so that the exact numbers test the program: no total above N, exactly N in every random "
    "linear network, Fisher memory 1 in every normal one and a harmonic number in every shift register. Predicted "
    "without data is what simulation sees: at spectral radius 0.9 less than 0.95 N at 64 units, at 0.5 less still; "
    "and that the random matrices of PyTorch's default, scaled to radius 0.9, have a Fisher memory of less than 2, "
    "far below N."
)
REFUTED_BY = (
    "An exact total above N; a simulated total of 64 units above 0.95 N; a Fisher memory of 2 or more at radius 0.9."
)
LINEAR, NORMAL = "RNN identity", "orthogonal (gain 0.9)"
RADII = ("scaled (radius 0.5)", "scaled (radius 0.9)")
MEASURES = {"simulated": "memory_function", "exact": "linear_memory_function", "fisher": "fisher_memory"}
SLACK, NEAR, CHANCE, SHORT = 1e-6, 1e-3, 1.0, 0.95
BY = ["label", "hidden"]
RUN = "networks as drawn, 8 to 64 units, 5 seeds (the shift register has none to draw)"


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Memory capacity, simulated and exact, and Fisher memory against the number of units."""
    found = totals(scores)
    rows = [tables.numbers(scores, measure, BY).assign(total=name) for name, measure in MEASURES.items()]
    table = pd.concat(rows, ignore_index=True)
    table = table[table["statistic"] == "total"].drop(columns=["moment", "statistic"])
    bound = pd.DataFrame(
        [(n, "N", float(n)) for n in sorted(set(table["hidden"]))], columns=["hidden", "text", "value"]
    )
    drawing = plots.trend(
        table.loc[:, ["total", "label", "hidden", "seeds", "median", "low", "high"]],
        "hidden",
        "label",
        "total",
        title="Totals against the number of units",
        value="total over the lags",
        setting="units",
        theory=bound,
    )
    share = (found["simulated"] / found["hidden"])[_linear(found, RADII) & (found["hidden"] == 64)]
    headline = (
        f"Of {len(found)} networks, linearised at rest, none has an exact memory capacity above its number of units by "
        "more than "
        f"{max(0.0, (found['exact'] - found['hidden']).max()):.1g}; simulation sees {share.min():.0%} to "
        f"{share.max():.0%} of the 64 inputs that random linear networks hold."
    )
    parts: list[Table | Figure] = [
        Table("totals", "Memory capacity, simulated and exact, and Fisher memory", table, _shown(table)),
        Figure("totals_by_size", "Totals against the number of units", drawing, table, "Each total against N, with N."),
    ]
    return Analysis(headline, verdict(found), parts, {"largest Fisher memory over N": _most(found)})


def verdict(found: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    over = (found["exact"] - found["hidden"]).max()
    lines = [held(exact(over <= SLACK), "no exact total exceeds N", f"{over:.1g} at most")]
    seen = [_seen(found, radius) for radius in RADII]
    text = ", ".join(f"{radius}: {one}" for radius, one in zip(RADII, seen, strict=True))
    less = below(seen[0], seen[1]) & below(seen[1], SHORT)
    lines.append(held(less, "simulation sees less than 0.95 N of 64 units, at radius 0.5 less still", text))
    wide = found[_linear(found, RADII[1:])]["fisher"]
    lines.append(
        held(below(Middle.of(wide), 2), "scaled to radius 0.9 the Fisher memory stays below 2", f"{wide.max():.2f}")
    )
    return lines


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    found = totals(scores)
    totalled, simulated = found["exact"] - found["hidden"], found["simulated"] - found["hidden"]
    known = Share(int((totalled <= SLACK).sum()), int(totalled.notna().sum()))
    linear = found[_linear(found, RADII)]
    off = (linear["exact"] - linear["hidden"]).abs().max()
    seen = [_seen(found, radius) for radius in RADII]
    normal = (found[_linear(found, (NORMAL,))]["fisher"] - 1).abs()
    registers = found[found["cell"] == "shift_register"]
    harmonic = [sum(1 / step for step in range(1, units + 1)) for units in registers["hidden"]]
    spread = float(np.abs(registers["fisher"].to_numpy(float) - harmonic).max())
    over = bool((found["fisher"] > found["hidden"] + SLACK).any())
    within = Share(int((normal <= NEAR).sum()), len(normal))
    return {
        "jaeger-capacity-bound": answered(
            f"at most N + {max(0.0, totalled.max()):.1g} exactly ({known.trials} networks, {_curved(found)} of them "
            f"tanh or relu, linearised at rest), N {simulated.max():+.2f} as estimated ({len(found)} networks)",
            "share of exact totals of at most N",
            RUN,
            confirmed=exact(known.successes == known.trials and simulated.max() <= CHANCE),
            refuted=exact(known.successes < known.trials),
            depends=exact(known.successes == known.trials and simulated.max() > CHANCE),
            on="how the total is estimated: simulated totals exceed N by more than chance, exact ones do not",
            of=known,
        ),
        "capacity-shortfall-numerical": answered(
            f"exactly N within {off:.1g}; simulated, of 64 units: {seen[0]} N at radius 0.5, {seen[1]} N at 0.9",
            "simulated share of N at radius 0.9",
            RUN,
            confirmed=exact(off <= NEAR) & all_of(below(one, SHORT) for one in seen),
            refuted=exact(off > NEAR) | all_of(at_least(one, SHORT) for one in seen),
            depends=exact(off <= NEAR)
            & any_of(below(one, SHORT) for one in seen)
            & any_of(at_least(one, SHORT) for one in seen),
            on="the spectral radius",
            of=seen[1],
        ),
        "ganguli-normal": answered(
            f"1 within {normal.max():.1g} in {within.count} networks",
            "share of networks",
            RUN,
            confirmed=exact(within.successes == within.trials),
            refuted=exact(within.successes < within.trials),
            of=within,
        ),
        "ganguli-bound": answered(
            f"at most {_most(found):.2f} N; shift registers have harmonic numbers within {spread:.1g}",
            "",
            RUN,
            confirmed=exact(not over and spread <= NEAR),
            refuted=exact(over),
            reason="the totals of shift registers are not harmonic numbers, so that the measure is not to be trusted",
        ),
    }


def totals(scores: pd.DataFrame) -> pd.DataFrame:
    """A row for each network: its memory by each measure, summed over lags; nan where a measure does not apply."""
    rows = scores[(scores["statistic"] == "total") & scores["measure"].isin(MEASURES.values())]
    keys = ["key", "label", "cell", "init", "hidden", "seed"]
    wide = rows.pivot(index=keys, columns="measure", values="value").reset_index()
    return wide.rename(columns={measure: name for name, measure in MEASURES.items()})


def _linear(found: pd.DataFrame, inits: tuple[str, ...]) -> "pd.Series[bool]":
    return (found["cell"] == LINEAR) & found["init"].isin(inits)


def _curved(found: pd.DataFrame) -> int:
    """How many networks with an exact total are not linear."""
    straight = found["cell"].isin([LINEAR, "shift_register"])
    return int((found["exact"].notna() & ~straight).sum())


def _seen(found: pd.DataFrame, radius: str) -> Middle:
    """The simulated memory capacity of 64 linear units, as a share of the units."""
    return Middle.of((found["simulated"] / found["hidden"])[_linear(found, (radius,)) & (found["hidden"] == 64)])


def _most(found: pd.DataFrame) -> float:
    return float((found["fisher"] / found["hidden"]).max())


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    texts = [str(Middle(*row)) for row in table.loc[:, ["median", "low", "high"]].itertuples(index=False)]
    return pd.DataFrame(
        {"total": table["total"], "network": table["label"], "units": table["hidden"].astype(str), "median": texts}
    )
