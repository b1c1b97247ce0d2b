"""How does the product of derivatives change with the length of the chain, and is its rate the Lyapunov exponent?

Nothing is trained. The slope of the log gradient over the lag and the Lyapunov exponent are two computations of one
number: the first by backpropagation through 200 steps, the second by a QR decomposition of every Jacobian.
"""

from typing import Any

import pandas as pd

from farback import plots
from farback.report import Analysis, Figure, Finding, Ladder, Table, above, at_most, below, held
from farback.report.claim_scripts import Middle, answered
from farback.report.evidence import all_of, any_of

PREDICTION = (
    "From theory: every default start and every orthogonal gain below 1 has a negative exponent, so that its product "
    "shrinks with the chain. A tanh network of gain 1.5 or more and a relu network of gain 2 have a positive one. "
    "Slope and exponent agree within 0.05 nats a step in every network. From what `gradient_flow` found over 60 steps, "
    "tanh at gain 1.2 and relu at gain 1.5 are near 0 and may have either sign."
)
REFUTED_BY = (
    "A default start or a gain below 1 whose exponent is not below 0; a tanh network of gain 1.5 or 2, or a relu "
    "network of gain 2, whose exponent is not above 0; a network whose slope and exponent differ by more than 0.05."
)
NEAR = 0.05  # nats per step: a difference of 5 % per step
BY = ["cell", "init"]
GROWING = (("RNN tanh", 1.5), ("RNN tanh", 2.0), ("RNN relu", 2.0))


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Both rates of every network, and the rates against the gain of the recurrent matrix."""
    found = rates(scores)
    table = summary(found)
    worst = largest(table, "difference")
    headline = (
        f"In networks as drawn the product of derivatives shrinks with the chain in {_shrinking(table)}; "
        f"its rate and the Lyapunov exponent differ by {worst['difference']:.3f} nats a step at most ({worst['name']})."
    )
    drawn = pd.concat(
        [
            _long(table, "slope", "slope of the gradient"),
            _long(table, "exponent", "Lyapunov exponent"),
        ],
        ignore_index=True,
    )
    tuned = drawn[drawn["gain"].notna()].loc[:, ["cell", "rate", "gain", "seeds", "median", "low", "high"]]
    drawing = plots.trend(
        tuned,
        "gain",
        "rate",
        "cell",
        title="The rate of the product against the gain of the recurrent matrix",
        value="nats a step",
        level=0.0,
    )
    parts: list[Table | Figure] = [
        Table("rates", "The rate of the product, by two measures (nats per step)", table, _shown(table)),
        Figure(
            "gain",
            "The rate against the gain: above 0 the product grows with the chain",
            drawing,
            tuned,
            "Slope of the gradient and largest Lyapunov exponent against the gain, a panel for tanh and one for relu.",
        ),
    ]
    metrics = {f"difference/{row['name']}": float(row["difference"]) for row in table.to_dict("records")}
    return Analysis(headline, verdict(table), parts, metrics)


def verdict(table: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    small = table[table["gain"].isna() | (table["gain"] < 1)]
    wrong = small[small["exponent"] >= 0]
    pairs = list(zip(table["cell"], table["gain"], strict=True))
    large = table[[pair in GROWING for pair in pairs]]
    near = all_of(at_most(_off(row), NEAR) for row in table.to_dict("records"))
    return [
        held(
            all_of(below(_middle(row), 0) for row in small.to_dict("records")),
            "default starts and gains below 1 have a negative exponent",
            ", ".join(wrong["name"]),
        ),
        held(
            all_of(above(_middle(row), 0) for row in large.to_dict("records")),
            "tanh at gain 1.5 and 2 and relu at 2 have a positive one",
            ", ".join(f"{row['name']}: {row['exponent']:.3f}" for row in large.to_dict("records")),
        ),
        held(near, f"slope and exponent agree within {NEAR}", f"{table['difference'].max():.3f} at most"),
    ]


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    found = rates(scores)
    table = summary(found)
    grows = table["exponent_low"] > 0
    rows = table.to_dict("records")
    shrinking = [below(_middle(row), 0) for row in rows]
    near = [at_most(_off(row), NEAR) for row in rows]
    worst = largest(table, "difference")
    far = table["difference_low"] > NEAR
    networks = f"{found['seed'].nunique()} seeds of {len(table)} networks of 32 units as drawn, 200 steps"
    growing = ", ".join(table.loc[grows, "name"])
    return {
        "longer-chain-smaller-product": answered(
            f"shrinks in {_shrinking(table)}; exponents {table['exponent'].min():.2f} to {table['exponent'].max():.2f}",
            "nats a step, the largest exponent",
            networks,
            confirmed=all_of(shrinking),
            refuted=~any_of(shrinking),
            depends=any_of(shrinking) & any_of(above(_middle(row), 0) for row in rows),
            on=f"the gain: it grows in {growing}",
            of=_middle(largest(table, "exponent")),
        ),
        "rate-is-lyapunov": answered(
            f"differ by {_off(worst)} nats a step at most ({worst['name']})",
            "nats a step",
            networks,
            confirmed=all_of(near),
            refuted=~any_of(near),
            depends=any_of(near) & ~all_of(near),
            on=f"the network: they differ by more than {NEAR} in {', '.join(table.loc[far, 'name'])}",
            of=_off(worst),
        ),
    }


def rates(scores: pd.DataFrame) -> pd.DataFrame:
    """Slope and largest exponent of every network and seed: cell, init, name, gain, seed, slope, exponent."""
    columns = {("gradient_reach", "slope"): "slope", ("lyapunov", "largest"): "exponent"}
    named = pd.Series(list(zip(scores["measure"], scores["statistic"], strict=True)), index=scores.index).map(columns)
    rows = scores.assign(rate=named)[named.notna()]
    found = rows.set_index(["key", "rate"])["value"].unstack()
    gains = scores["init.gain"] if "init.gain" in scores else pd.Series(float("nan"), index=scores.index)
    trials = scores.assign(name=scores["label"], gain=gains).drop_duplicates("key").set_index("key")
    joined = trials.loc[:, [*BY, "name", "gain", "seed"]].join(found).reset_index(drop=True)
    return joined.assign(gain=joined["gain"].astype(float))


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """Medians over seeds, and the median of the seeds' differences."""
    rows = []
    for name, own in found.groupby("name", sort=False):
        first = own.iloc[0]
        row = {"cell": first["cell"], "init": first["init"], "name": name, "gain": first["gain"], "seeds": len(own)}
        for rate in ("slope", "exponent"):
            one = Middle.of(own[rate])
            row |= {rate: one.value, f"{rate}_low": one.low, f"{rate}_high": one.high}
        off = Middle.of((own["slope"] - own["exponent"]).abs())
        rows.append({**row, "difference": off.value, "difference_low": off.low, "difference_high": off.high})
    return pd.DataFrame(rows)


def largest(table: pd.DataFrame, column: str) -> dict[Any, Any]:
    """The row of the largest value."""
    return max(table.to_dict("records"), key=lambda row: float(row[column]))


def _middle(row: dict[Any, Any]) -> Middle:
    return Middle(row["exponent"], row["exponent_low"], row["exponent_high"])


def _off(row: dict[Any, Any]) -> Middle:
    return Middle(row["difference"], row["difference_low"], row["difference_high"])


def _shrinking(table: pd.DataFrame) -> str:
    return f"{int((table['exponent_high'] < 0).sum())} of {len(table)}"


def _long(table: pd.DataFrame, rate: str, text: str) -> pd.DataFrame:
    columns = {rate: "median", f"{rate}_low": "low", f"{rate}_high": "high"}
    return table.loc[:, ["cell", "gain", "seeds", *columns]].rename(columns=columns).assign(rate=text)


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    rows = table.to_dict("records")
    return pd.DataFrame(
        {
            "network": table["name"],
            "slope of the gradient": [
                f"{r['slope']:.3f} ({r['slope_low']:.3f} to {r['slope_high']:.3f})" for r in rows
            ],
            "Lyapunov exponent": [
                f"{r['exponent']:.3f} ({r['exponent_low']:.3f} to {r['exponent_high']:.3f})" for r in rows
            ],
            "difference, median": [f"{r['difference']:.3f}" for r in rows],
        }
    )
