"""Which networks' gradients vanish or explode with the lag, and how fast, compared with theory?

Nothing is trained. The gradient of the last state with respect to the input k steps before is measured in networks at
their initial weights: cells, nonlinearities, initialisations, depths, and gains of the recurrent matrix. Theory: a tanh
network near zero is linear, so each step multiplies its gradient by the gain g; in a relu network half of the units are
off, which gives g / sqrt 2. PyTorch's default matrix, uniform on +-1 / sqrt H, has the gain 1 / sqrt 3.
"""

import math
from typing import Any

import pandas as pd

from farback import plots, tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, held, measure_parts
from farback.report.claim_scripts import Middle, answered, only
from farback.report.evidence import Evidence, above, all_of, any_of, at_least, at_most, below

PLACE = 5  # in results/index.html: the order of the questions in README
PREDICTION = (
    "Written from theory alone. From PyTorch's default every gradient vanishes exponentially: tanh by ln(1/√3) = -0.55 "
    "a step and relu by ln(1/√6) = -0.90, each within 15 %, so that relu vanishes fastest of all cells; GRU and LSTM, "
    "whose gates stand near one half, by between -0.3 and -0.8. Depth does not change the rate by more than 20 %. The "
    "rate of an orthogonal tanh network is ln g within 0.1 up to gain 1 and clearly below it beyond (the units "
    "saturate); that of relu is ln(g / √2) within 0.15 throughout. Gradients explode for tanh above gain 1 and for "
    "relu above √2, from no default start. Chrono and identity starts keep more than a thousandth over 60 steps."
)
REFUTED_BY = (
    "A default start outside those rates; a rate that three layers move by more than 20 %; a gain below 1 that "
    "explodes, or a relu gain of 1.2 that does, or one of 2 that does not; a chrono or identity start whose reach ends "
    "within 60 steps."
)
DEFAULT = {"RNN tanh": -math.log(3) / 2, "RNN relu": -math.log(6) / 2}
GATED = ("LSTM", "GRU")
LOSS = {"RNN tanh": 0.0, "RNN relu": -math.log(2) / 2}  # how the units that are off change the rate
BY = ["cell", "init", "depth"]
STARTS = ("torch", "orthogonal", "identity", "chrono")
BRIDGED = 20  # steps: more than the 5-10 that a standard RNN is said to bridge

RATES = (
    "How fast the gradient changes with the lag: the rate is a natural logarithm per step over all lags; at the "
    "half-life the gradient is half of its value at lag 0, which depends on the first few steps"
)


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Rates compared with theory, and the gradient curves."""
    starts = scores[scores["init"].isin(STARTS)]
    rates, gains = tables.rates(starts, BY), _gains(scores)
    curves = measure_parts.gradients(starts[starts["depth"] == 1])
    default = rates[(rates["depth"] == 1) & (rates["init"] == "torch")]
    headline = (
        "With every step back the gradient of a network from PyTorch's default start is multiplied by: "
        + "; ".join(
            f"{cell} {math.exp(slope):.2f}" for cell, slope in zip(default["cell"], default["median"], strict=True)
        )
        + f". Of {len(gains)} gains of simple networks {int((gains['exploding'] > 0.5).sum())} explode."
    )
    parts: list[Table | Figure] = [
        Table("rates", RATES, rates, _shown(rates)),
        curves,
        Figure(
            "gain",
            "The rate against the gain of the recurrent matrix",
            plots.trend(
                gains,
                "gain",
                "network",
                title="The rate against the gain",
                value="rate (natural log per step)",
                theory=_theory(sorted(set(gains["gain"]))),
                level=0.0,
            ),
            gains,
            "Measured rates of tanh and relu networks against the gain, with ln g and ln(g / sqrt 2): above 0 the "
            "gradient explodes.",
        ),
    ]
    metrics = {
        f"slope/{row['cell']} {row['init']} {row['depth']}": float(row["median"]) for row in rates.to_dict("records")
    }
    return Analysis(headline, verdict(rates, gains), parts, metrics)


def verdict(rates: pd.DataFrame, gains: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    at = rates.set_index(BY)["median"]
    rate = {(row["cell"], row["init"], row["depth"]): Middle.in_row(row) for row in rates.to_dict("records")}
    default = {cell: at[cell, "torch", 1] for cell in rates["cell"].unique() if (cell, "torch", 1) in at}
    lines = []
    for cell, theory in DEFAULT.items():
        found = default.get(cell, math.nan)
        near = _within(rate[cell, "torch", 1], theory, 0.15 * abs(theory))
        lines.append(held(near, f"{cell} from the default falls by {theory:.2f} a step", f"{found:.3f}"))
    relu = all_of(below(rate["RNN relu", "torch", 1], rate[cell, "torch", 1]) for cell in default if cell != "RNN relu")
    lines.append(held(relu, "relu vanishes fastest", _listed(default)))
    gated = {cell: default[cell] for cell in GATED if cell in default}
    between = all_of(_within(rate[cell, "torch", 1], -0.55, 0.25) for cell in gated)
    lines.append(held(between, "gated cells from the default fall by 0.3 to 0.8 a step", _listed(gated)))
    deeper = {
        f"{cell}, {init}": at[cell, init, 3] / at[cell, init, 1] - 1
        for cell, init in {(row["cell"], row["init"]): None for row in rates.to_dict("records")}
        if init == "torch" and (cell, init, 3) in at
    }
    kept = all_of(
        _within(rate[cell, "torch", 3].minus(rate[cell, "torch", 1]), 0.0, 0.2 * abs(at[cell, "torch", 1]))
        for cell in default
        if (cell, "torch", 3) in at
    )
    text = ", ".join(f"{name}: {change:+.0%}" for name, change in deeper.items())
    lines.append(held(kept, "three layers change no default rate by more than 20 %", text))
    for cell, loss in LOSS.items():
        own = gains[gains["network"] == f"{cell}, orthogonal"]
        error = own["median"] - own["gain"].map(math.log) - loss
        if cell == "RNN tanh":
            error = error[own["gain"] <= 1]
        allowed = 0.1 if cell == "RNN tanh" else 0.15
        named = "ln g up to gain 1" if cell == "RNN tanh" else "ln(g / √2)"
        worst = float(error.abs().max())
        rows = own[own["gain"] <= 1] if cell == "RNN tanh" else own
        near = all_of(
            _within(Middle.in_row(row), math.log(row["gain"]) + loss, allowed) for row in rows.to_dict("records")
        )
        lines.append(held(near, f"{cell} from orthogonal falls by {named}", f"off by {worst:.2f} at most"))
    wrong = gains[(gains["exploding"] > 0.5) != gains.apply(_should_explode, axis=1)]
    found = ", ".join(f"{row['network']} at gain {row['gain']:g}" for row in wrong.to_dict("records"))
    grows = all_of(
        above(Middle.in_row(row), 0) if _should_explode(pd.Series(row)) else below(Middle.in_row(row), 0)
        for row in gains.to_dict("records")
    )
    lines.append(held(grows, "gradients explode above gain 1 (tanh) and √2 (relu), and nowhere else", found))
    long = rates[rates["init"].isin(["chrono", "identity"]) & (rates["depth"] == 1)]
    short = long[long["reach"] < 60]
    found = ", ".join(f"{row['cell']}, {row['init']}: {row['reach']:g}" for row in short.to_dict("records"))
    lines.append(held(short.empty, "chrono and identity starts keep a thousandth over 60 steps", found))
    grown = rates[rates["exploding"] > 0.5]
    if len(grown):
        found = ", ".join(f"{row['cell']}, {row['init']}, {row['depth']} layers" for row in grown.to_dict("records"))
        lines.append(
            f"Growing over the 60 steps looked at: {found}. In a stack that need not be an explosion: leaky "
            "integrators in a row have a hump, k^(depth - 1) a^k, which rises before it falls."
        )
    return lines


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The findings for the claims: how far the gradient of a standard RNN reaches, and when tanh and relu explode."""
    single = scores[scores["depth"] == 1]
    rates, gains = tables.rates(single[single["init"] == "torch"], ["cell"]), _gains(scores)
    default = {cell: only(rates, cell=cell) for cell in LOSS}
    tanh, relu = _explodes(gains, "RNN tanh"), _explodes(gains, "RNN relu")
    own = gains[gains["network"].str.startswith("RNN tanh")]
    others = gains[gains["network"].str.startswith("RNN relu")]
    tanh_rates, relu_rates = ([Middle.in_row(row) for row in rows.to_dict("records")] for rows in (own, others))
    plain_tanh, plain_relu = (Middle.in_row(default[cell]) for cell in ("RNN tanh", "RNN relu"))
    first = scores.iloc[0]
    run = f"{scores['seed'].nunique()} seeds, {first['hidden']} units as drawn, {first['trained_lag']} steps"
    return {
        "rnn-gradient-reach": _reaches(single, run),
        "tanh-vanishes": answered(
            f"{_rate(default['RNN tanh'])} from PyTorch's default; most seeds explode from gain {tanh}",
            "natural log a step",
            run,
            confirmed=all_of(below(one, 0) for one in (plain_tanh, *tanh_rates)),
            refuted=at_least(plain_tanh, 0),
            depends=below(plain_tanh, 0) & any_of(above(one, 0) for one in tanh_rates),
            on=f"the gain of the recurrent matrix: it explodes from {tanh} (theory: above 1)",
            of=plain_tanh,
        ),
        "relu-explodes": answered(
            f"{_rate(default['RNN relu'])} from PyTorch's default; most seeds explode from gain {relu}",
            "natural log a step",
            run,
            confirmed=above(plain_relu, 0),
            refuted=all_of(below(one, 0) for one in (plain_relu, *relu_rates)),
            depends=below(plain_relu, 0) & any_of(above(one, 0) for one in relu_rates),
            on=f"the gain of the recurrent matrix: it explodes from {relu} (theory: above 1.41)",
            of=plain_relu,
        ),
    }


def _reaches(single: pd.DataFrame, run: str) -> Finding:
    """The lag at which a thousandth of the gradient is left, for two initialisations of a tanh RNN."""
    rows = single[(single["measure"] == "gradient_reach") & (single["statistic"] == "reach")]
    rows = rows[rows["cell"] == "RNN tanh"]
    reach = {init: Middle.of(rows[rows["init"] == init]["value"]) for init in ("torch", "orthogonal")}
    default, orthogonal = reach["torch"], reach["orthogonal"]
    return answered(
        f"{reach['torch']} steps from PyTorch's default, {reach['orthogonal']} from the orthogonal start",
        "steps",
        run,
        confirmed=at_most(default, BRIDGED) & at_most(orthogonal, BRIDGED),
        refuted=above(default, BRIDGED),
        depends=at_most(default, BRIDGED) & above(orthogonal, BRIDGED),
        on="the start: the gradient reaches farther from the orthogonal one",
        of=default,
    )


def _rate(row: dict[Any, Any]) -> str:
    """A rate as text, with the factor by which each step multiplies the gradient."""
    low, high = math.exp(row["low"]), math.exp(row["high"])
    factor = f"each step multiplies the gradient by {math.exp(row['median']):.2f}, 95 %: {low:.2f} to {high:.2f}"
    return f"{row['median']:.2f} per step ({factor})"


def _within(found: Middle, centre: float, margin: float) -> Evidence:
    """Whether a number lies within a margin of another."""
    return at_least(found, centre - margin) & at_most(found, centre + margin)


def _explodes(gains: pd.DataFrame, cell: str) -> str:
    """The smallest gains at which most seeds explode: "1.2 (orthogonal), 1.2 (scaled)"."""
    exploding = gains[(gains["exploding"] > 0.5) & gains["network"].str.startswith(cell)]
    least = exploding.groupby("network")["gain"].min()
    return ", ".join(f"{gain:g} ({str(name).partition(', ')[2]})" for name, gain in least.items()) or "none"


def _gains(scores: pd.DataFrame) -> pd.DataFrame:
    """The rates of single layers whose initialisation sets the gain of the recurrent matrix."""
    tuned = scores[(scores["depth"] == 1) & scores["init.name"].isin(["orthogonal", "scaled"])]
    return tables.rates(_with_gain(tuned), ["network", "gain"])


def _with_gain(tuned: pd.DataFrame) -> pd.DataFrame:
    """Scores with two columns: the gain, and the network without its gain."""
    gain = tuned["init.gain"].where(tuned["init.name"] == "orthogonal", tuned["init.radius"]).astype(float)
    return tuned.assign(gain=gain, network=tuned["cell"] + ", " + tuned["init.name"])


def _theory(gains: list[float]) -> pd.DataFrame:
    names = {"theory, tanh: ln g": LOSS["RNN tanh"], "theory, relu: ln (g / √2)": LOSS["RNN relu"]}
    rows = [(gain, text, math.log(gain) + loss) for text, loss in names.items() for gain in gains]
    return pd.DataFrame(rows, columns=["gain", "text", "value"])


def _should_explode(row: "pd.Series[float]") -> bool:
    limit = 1.0 if str(row["network"]).startswith("RNN tanh") else math.sqrt(2)
    return bool(row["gain"] > limit)


def _shown(rates: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cell": rates["cell"],
            "init": rates["init"],
            "depth": rates["depth"].astype(str),
            "rate (interval)": [
                f"{row['median']:.3f} ({row['low']:.3f} to {row['high']:.3f})" for row in rates.to_dict("records")
            ],
            "half-life": [f"{value:.3g}" for value in rates["half_life"]],
            "reach (1e-3)": [f"{value:.3g}" if value < math.inf else "> 60" for value in rates["reach"]],
            "law": rates["law"],
            "explodes": [f"{share:.0%} of seeds" for share in rates["exploding"]],
        }
    )


def _listed(values: dict[str, float]) -> str:
    return ", ".join(f"{name}: {value:.2f}" for name, value in values.items())
