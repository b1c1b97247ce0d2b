"""How far back does each network remember by every measure?

Gradient reach, causal reach, decodability, linear memory and behaviour are measured on the same networks, on one lag
axis, before and after training, and the page says where they disagree.
"""

import numpy as np
import pandas as pd

from farback import tables
from farback.report import Analysis, Ladder, all_of, below, held, measure_parts
from farback.report.claim_scripts import Middle

PLACE = 4  # in results/index.html: the order of the questions in README
PREDICTION = (
    "Known beforehand, from `demo` as it stood then: trained on mixed lags, all eight networks retain the cue over "
    "320 steps. Predicted without having seen any other measure of them: (1) the reach of the gradient at the default "
    "initialisation is below 20 steps in all four cells, so it does not bound what they come to retain; (2) in at "
    "least one trained tanh or relu network the gradient reaches less far than the behaviour, for a latched bit has "
    "no gradient; (3) linear memory is half gone within 10 steps in every trained network, however far it retains: "
    "one bit kept for ever is little capacity; (4) where the cue is retained it matters and can be read: causal reach "
    "and decodability are no shorter than 160 steps there; (5) the median gate of the default-initialised LSTM and "
    "GRU keeps less than 20 steps even when trained, for what is kept need not go through the gate alone."
)
REFUTED_BY = (
    "A default start whose gradient reaches 20 steps; gradients that reach as far as behaviour in all four simple "
    "networks; a trained network whose linear memory at lag 10 is above one half; a network that retains lag 160 with "
    "a causal reach or a probe that ends before; a trained default gate whose median keeps 20 steps or more."
)
DEFAULTS = ("RNN tanh", "RNN relu", "LSTM", "GRU")
SIMPLE = ("RNN tanh", "RNN relu")
FAR, NEAR = 160, 20


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """How far back each network reaches by every measure, and where the measures disagree."""
    horizons = tables.reach_horizons(scores)
    parts = [
        *measure_parts.reached(scores),
        measure_parts.gradients(scores),
        measure_parts.memory(scores),
        measure_parts.spectra(scores),
        measure_parts.gates(scores),
        measure_parts.progress(scores),
    ]
    trained = horizons[horizons["moment"] == "end"]
    widest = _widest(trained)
    headline = (
        f"{widest} Over all trained networks behaviour reaches "
        f"{_span(trained, 'behaviour')} steps, the gradient {_span(trained, 'gradient')}, linear memory "
        f"{_span(trained, 'memory')}."
    )
    metrics = {
        f"reach/{row['label']} {row['reach']} {row['moment']}/low": max(0.0, float(row["low"]))
        for row in horizons.to_dict("records")
        if row["moment"] in ("start", "end")
    }
    return Analysis(headline, verdict(scores, horizons), parts, metrics)


def verdict(scores: pd.DataFrame, horizons: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction, then where the measures disagree."""
    at = horizons.set_index(["moment", "reach", "label"])["low"].clip(lower=0)
    start, end = at["start"], at["end"]
    first = {cell: start["gradient"][cell] for cell in DEFAULTS if cell in start["gradient"]}
    lines = [
        held(
            all(reach < NEAR for reach in first.values()),
            f"the gradient at the default start reaches less than {NEAR} steps",
            _listed(first),
        )
    ]
    trained = horizons[horizons["moment"] == "end"]
    latched = [name for name in farther(trained, "behaviour", "gradient") if name.split(",")[0] in SIMPLE]
    shorter = {name: end["gradient"][name] for name in latched}
    lines.append(
        held(bool(shorter), "in a simple network the gradient reaches less far than the behaviour", _listed(shorter))
    )
    curves = tables.memory_curves(scores)
    ten = curves[(curves["moment"] == "end") & (curves["lag"] == 10)].to_dict("records")
    gone = all_of(below(Middle.in_row(row), 0.5) for row in ten)
    most = max(row["median"] for row in ten)
    lines.append(held(gone, "linear memory is half gone within 10 steps", f"at most R² {most:.2f} there"))
    far = [name for name in end["behaviour"].index if end["behaviour"][name] >= FAR]
    blind = {
        f"{name} ({reach})": end[reach][name]
        for name in far
        for reach in ("causal", "decodable")
        if end[reach].get(name, 0) < FAR
    }
    lines.append(held(not blind, f"what retains lag {FAR} depends on the cue and can be decoded there", _listed(blind)))
    times = tables.numbers(scores, "gate_times")
    times = times[(times["moment"] == "end") & (times["statistic"] == "median") & times["label"].isin(DEFAULTS)]
    medians = dict(zip(times["label"], times["median"], strict=True))
    lines.append(
        held(
            all_of(below(Middle.in_row(row), NEAR) for row in times.to_dict("records")),
            f"the median gate of a trained default network keeps less than {NEAR} steps",
            _listed(medians),
        )
    )
    return [*lines, *disagreements(trained)]


def farther(trained: pd.DataFrame, more: str, less: str) -> list[str]:
    """Networks in which one measure reaches farther than another for certain: it passes where the other has failed.

    The measures have different largest lags: a reach of "at least 160" is therefore not taken to be below 320.
    """
    low = trained[trained["reach"] == more].set_index("label")["low"]
    high = trained[trained["reach"] == less].set_index("label")["high"]
    both = low.index.intersection(high.index)
    return [str(name) for name in both if high[name] <= low[name]]


def disagreements(trained: pd.DataFrame) -> list[str]:
    """Where the measures disagree, and why."""
    lines = []
    if latch := farther(trained, "behaviour", "gradient"):
        lines.append(
            f"Gradient against behaviour: {_names(latch)} retain farther than their gradient reaches. What is retained "
            "is an attractor: small changes of the cue are forgotten, but not which cue it was."
        )
    if buffer := farther(trained, "behaviour", "memory"):
        lines.append(
            f"Linear memory against behaviour: {_names(buffer)} retain one cue longer than a stream of numbers: a "
            "memory function measures the capacity of a buffer, in which every input counts equally."
        )
    if ghost := farther(trained, "decodable", "behaviour"):
        lines.append(
            f"Decodability against behaviour: in {_names(ghost)} the state has more information than the output uses: "
            "a probe gives an upper bound."
        )
    return lines or ["The measures do not disagree on any trained network."]


def _widest(trained: pd.DataFrame) -> str:
    """A sentence about the network whose measures differ most: its shortest and its longest reach."""
    low = trained.assign(low=trained["low"].clip(lower=0)).pivot(index="label", columns="reach", values="low")
    gap = np.log2(low.max(axis=1) + 1) - np.log2(low.min(axis=1) + 1)
    name = gap.idxmax()
    own = trained[trained["label"] == name].set_index("reach")["horizon"]
    least, most = low.loc[name].idxmin(), low.loc[name].idxmax()
    shortest = "no step" if low.loc[name, least] < 1 else f"{own[least]} steps"
    return f"The measures differ most on {name}: {shortest} by {least}, {own[most]} by {most}."


def _span(trained: pd.DataFrame, reach: str) -> str:
    """The range of one reach over all networks."""
    own = trained[trained["reach"] == reach].sort_values("low", kind="stable")
    low = own["low"].clip(lower=0)
    beyond = "at least " if np.isinf(own["high"].iloc[-1]) else ""
    ends = f"{low.iloc[0]:g} to {beyond}{low.iloc[-1]:g}"
    return f"{beyond}{low.iloc[-1]:g}" if low.iloc[0] == low.iloc[-1] else ends


def _listed(values: dict[str, float]) -> str:
    return "; ".join(f"{name}: {value:.3g}" for name, value in values.items())


def _names(names: list[str]) -> str:
    return "; ".join(names)
