"""The experiments of the panel judge frames whose answer is known because it was made up."""

import math
from pathlib import Path

import pandas as pd
import pytest

from farback import tables
from farback.report.experiment_script import experiment_module
from made_up_scores import EIGHT, behaviour, gradient, lengths, panel, rows_of

ROOT = Path(__file__).parent.parent


def judged(name, scores):
    """The analysis, with every figure drawable and every part with numbers."""
    module = experiment_module(ROOT / "experiments" / f"{name}.py")
    analysis = module.analyse(scores, ())
    assert analysis.headline.endswith(".")
    assert len({part.name for part in analysis.parts}) == len(analysis.parts)
    assert all(len(part.frame) for part in analysis.parts)
    assert all(math.isfinite(value) for value in analysis.metrics.values())
    return analysis


def verdict(analysis, words):
    (line,) = [line for line in analysis.verdict if words in line]
    return line.startswith("Held")


@pytest.mark.slow
def test_panel_says_where_measures_disagree():
    scores = panel(seeds=2)
    numbers = [
        row
        for label, tau in EIGHT.items()
        if label.startswith(("GRU", "LSTM"))
        for seed in range(3)
        for row in rows_of(label, seed, [("gate_times", 500, -1, "median", tau * 3)])
        if row["measure"] == "gate_times"
    ]
    scores = pd.concat([scores, pd.DataFrame(numbers)], ignore_index=True)
    analysis = judged("panel", scores)
    assert verdict(analysis, "default start reaches less than 20")  # 3 ln 10 tau of at most 2.5 steps
    assert verdict(analysis, "linear memory is half gone")
    assert verdict(analysis, "depends on the cue and can be decoded")
    assert any("Linear memory against behaviour" in line for line in analysis.verdict)
    assert {"reaches", "gradients", "memory_function", "lyapunov", "gate_times", "horizon_by_update"} <= {
        part.name for part in analysis.parts
    }


def test_panel_refutes_what_does_not_depend_on_the_cue():
    scores = panel(seeds=1, nets={"LSTM, chrono": 60.0, "RNN tanh": 1.82})
    gates = rows_of("LSTM", 0, [("gate_times", 500, -1, "median", 50.0)])
    deaf = (scores["measure"] == "causal_reach") & (scores["lag"] >= 40)
    scores = pd.concat([scores.assign(value=scores["value"].mask(deaf, 0.0)), pd.DataFrame(gates)], ignore_index=True)
    module = experiment_module(ROOT / "experiments" / "panel.py")
    lines = module.verdict(scores, tables.reach_horizons(scores[scores["label"] != "LSTM"]))
    assert any(line.startswith("Refuted in these seeds") and "LSTM, chrono (causal): 20" in line for line in lines)
    assert any(line.startswith("Refuted in these seeds") and "LSTM: 50" in line for line in lines)


def test_panel_does_not_compare_what_lies_beyond_the_lags_tried():
    """A gradient that passes every lag up to 160 is not shorter than a behaviour that passes 320."""
    module = experiment_module(ROOT / "experiments" / "panel.py")
    horizons = tables.reach_horizons(panel(seeds=1, nets={"LSTM": 60.0, "RNN tanh": 1.0}))
    trained = horizons[horizons["moment"] == "end"]
    assert trained.set_index(["label", "reach"])["horizon"]["LSTM", "gradient"] == "at least 160"
    assert trained.set_index(["label", "reach"])["horizon"]["LSTM", "behaviour"] == "at least 320"
    assert module.farther(trained, "behaviour", "gradient") == []
    assert module.farther(trained, "behaviour", "memory") == ["LSTM", "RNN tanh"]
    assert module.farther(trained, "gradient", "behaviour") == ["RNN tanh"]


def flow(rate):
    """Networks at their start, whose rate is `rate(cell, init, gain, depth)`."""
    found = []
    cells = {"RNN tanh": "orthogonal", "RNN relu": "identity", "GRU": "chrono", "LSTM": "chrono"}
    starts = [
        (cell, init, None, depth) for cell, own in cells.items() for init in ("torch", own) for depth in (1, 2, 3)
    ]
    gains = [(cell, "orthogonal", gain, 1) for cell in ("RNN tanh", "RNN relu") for gain in (0.5, 1.2, 2.0)]
    for cell, init, gain, depth in starts + gains:
        slope = rate(cell, init, gain or 1.0, depth)
        label = init if gain is None else f"{init} (gain {gain:g})"
        values = gradient(0, -1 / slope if slope else math.inf, lags=range(61))
        values = [(m, s, k, n, float(slope > 0) if n == "exploding" else v) for m, s, k, n, v in values]
        values = [(m, s, k, n, slope if n == "slope" else v) for m, s, k, n, v in values]
        more = {"init": label, "init.name": init, "init.radius": math.nan, "depth": depth, "cell": cell}
        more["init.gain"] = (gain or 1.0) if init == "orthogonal" else math.nan
        for seed in range(5):
            name = ", ".join([cell, *([] if init == "torch" else [label])])
            found += rows_of(name, seed, values, train_lags="fixed", trained_lag=60, end=0, **more)
    return pd.DataFrame(found)


def theory(cell, init, gain, depth):
    if init in ("chrono", "identity"):
        return -0.01
    if init == "torch":
        return {"RNN tanh": -math.log(3) / 2, "RNN relu": -math.log(6) / 2}.get(cell, -0.5)
    return math.log(gain) - (math.log(2) / 2 if cell == "RNN relu" else 0) or -1e-6


def test_gradient_flow_holds_on_theory_and_not_on_something_else():
    right = judged("gradient_flow", flow(theory))
    assert all(line.startswith("Held") for line in right.verdict)
    wrong = judged("gradient_flow", flow(lambda cell, init, gain, depth: 0.1 * depth))
    assert sum(line.startswith("**Refuted**") for line in wrong.verdict) >= 6


def test_extrapolation_counts_timers_and_factors():
    nets = ("LSTM, chrono", "RNN tanh, orthogonal")
    analysis = judged("extrapolation", lengths(nets=nets, lags=(5, 10, 20, 40)))
    assert verdict(analysis, "most fail at a shorter one")
    assert verdict(analysis, "at least 4 times farther")
    assert "24 networks" not in analysis.headline
    assert analysis.metrics["factor/LSTM, chrono log-uniform 1-40"] == 4


def fields(reach):
    """Trained at each lag; `reach(label, symbols, filler)` is the largest that is learned."""
    found = []
    for label in ("LSTM", "RNN tanh, orthogonal"):
        for symbols in (2, 32):
            for filler in ("blank", "noise", "same"):
                for lag in (5, 10, 20, 40, 80):
                    for seed in range(2):
                        values = behaviour(500, reach(label, symbols, filler), lags=(lag,))
                        more = {"task.symbols": symbols, "task.filler": filler}
                        found += rows_of(label, seed, values, train_lags="fixed", trained_lag=lag, **more)
    return pd.DataFrame(found)


def test_interference_tells_decay_from_interference():
    def predicted(label, symbols, filler):
        if label == "LSTM":
            return 10
        return {"blank": 80, "noise": 40, "same": 20}[filler] / (1 if symbols == 2 else 2)

    right = judged("interference", fields(predicted))
    assert all(line.startswith("Held") for line in right.verdict)
    wrong = judged("interference", fields(lambda label, symbols, filler: 80 if filler == "same" else 5 * symbols / 32))
    assert not verdict(wrong, "similar distractors never help")


def capacities(total):
    """Memory totals `total(hidden, radius, scale)` and of the usual starts."""
    found = []
    for hidden in (8, 64):
        for radius in (0.5, 0.95, 1.5):
            for scale in (0.01, 0.1, 10.0):
                values = [("memory_function", 0, -1, "total", total(hidden, radius, scale))]
                more = {"hidden": hidden, "init.name": "scaled", "init.radius": radius}
                more["measures.memory_function.scale"] = scale
                for seed in range(2):
                    found += rows_of("RNN tanh, scaled", seed, values, end=0, **more)
    for label in EIGHT:
        held = 20.0 if label == "RNN tanh, orthogonal" else 1.0
        values = [("memory_function", 0, k, n, v) for k in (0, 1, 9) for n, v in (("r2", 0.5), ("null_low", -0.1))]
        values += [("memory_function", 0, k, "null_high", 0.1) for k in (0, 1, 9)]
        values += [("memory_function", 0, -1, n, v) for n, v in (("features", 32), ("total", held), ("half", 1))]
        values += [("information_capacity", 0, -1, f"degree_{degree}_total", 1.0) for degree in (1, 2, 3)]
        for seed in range(2):
            found += rows_of(label, seed, values, end=0, **{"init.name": "torch", "init.radius": math.nan})
    return pd.DataFrame(found)


def test_capacity_holds_where_radius_and_scale_do_what_was_predicted():
    def predicted(hidden, radius, scale):
        if radius > 1:
            return hidden**0.8 * (0.1 if scale < 1 else 0.2)
        return hidden**0.8 * radius * (0.3 if scale > 1 else 1.0)

    right = judged("capacity", capacities(predicted))
    assert all(line.startswith("Held") for line in right.verdict)
    wrong = judged("capacity", capacities(lambda hidden, radius, scale: hidden * 1.5 * radius))
    assert not verdict(wrong, "no total exceeds")


@pytest.mark.parametrize("name", ["panel", "gradient_flow", "capacity", "interference", "extrapolation"])
def test_every_trial_of_the_config_can_be_made(name):
    from farback.experiment import Experiment

    trials = Experiment.load(ROOT / "configs" / f"{name}.yaml").trials()
    assert len({trial.key for trial in trials}) == len(trials) >= 40
