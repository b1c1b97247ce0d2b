"""Whole networks of the user's: made, trained as torch trains them, keyed, and refused beside what is about cells."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from farback import inits
from farback.executors.serial import Serial
from farback.experiment import ConfigError, Experiment, Sweep
from farback.networks.network import draw
from farback.runs import trial_checks
from farback.runs.horizon_arguments import horizon_search
from farback.stores.memory import Memory
from farback.trials.trial import Trial
from open_sweeps import recorded_events, sweep_run

MODEL = """
from torch import nn


class Model(nn.Module):
    def __init__(self, inputs, outputs, units=6):
        super().__init__()
        self.gru, self.readout = nn.GRU(inputs, units, batch_first=True), nn.Linear(units, outputs)

    def forward(self, x, h=None):
        out, h = self.gru(x, h)
        return self.readout(out), h


class Tutorial(Model):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__(input_size, output_size, hidden_size)

    def forward(self, x):
        return super().forward(x)[0]


class LastOnly(Tutorial):
    def forward(self, x):
        return super().forward(x)[:, -1]
"""
BASE = """
name: mine
base:
  task: {name: recall, symbols: 3}
  batch: 4
  steps: 4
  evaluate_every: 2
"""
NETWORK = "  network: {name: module, class: 'mine:Model', with: {units: 5}}\n"
SWEEP = "sweep:\n  - lag: [2]\n    seed: {range: 2}\n"


@pytest.fixture(autouse=True)
def _other_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARBACK_PROJECT", "")  # restored afterwards: loading a config sets it


def sweep(folder: Path, text: str = NETWORK + SWEEP) -> Sweep:
    (folder / "configs").mkdir(exist_ok=True)
    (folder / "mine.py").write_text(MODEL)
    (folder / "configs" / "mine.yaml").write_text(BASE + text)
    found = Experiment.load(folder / "configs" / "mine.yaml")
    assert isinstance(found, Sweep)
    return found


def test_its_answers_are_those_of_the_same_module_of_torch(tmp_path: Path) -> None:
    trial = sweep(tmp_path).trials()[0]
    network = draw(trial.architecture, [inits.build("torch")], [0], 2)
    gru, readout = nn.GRU(trial.task.inputs, 5, batch_first=True), nn.Linear(5, 3)
    own = {name.removesuffix("_l0"): value[0] for name, value in network.parameters.items()}
    gru.load_state_dict({name.removeprefix("gru."): value for name, value in own.items() if "gru" in name})
    readout.load_state_dict({name.removeprefix("readout."): own[name] for name in ("readout.weight", "readout.bias")})
    x_BTI = torch.randn(4, 6, trial.task.inputs)
    h_RTBH = network.run(x_BTI.transpose(0, 1)[None])[0]
    answer = network.readout(h_RTBH.flatten(1, 2))[0].view(6, 4, 3).transpose(0, 1)
    torch.testing.assert_close(answer, readout(gru(x_BTI)[0]))
    assert trial.architecture.parameter_count == sum(
        value.numel() for value in [*gru.parameters(), *readout.parameters()]
    )


def test_measures_that_need_no_cell_are_taken_and_tables_show_the_network(tmp_path: Path) -> None:
    measures = "  measures: [{name: retention, sequences: 32}, " + ", ".join(
        f"{{name: {name}, sequences: 8}}" for name in ("causal_reach", "gradient_reach", "truncation_reach", "lyapunov")
    )
    store = Memory()
    with Serial() as running:
        list(recorded_events(sweep_run(sweep(tmp_path, measures + "]\n" + NETWORK + SWEEP), store, running)))
    frame = store.frame("mine")
    assert set(frame["measure"]) >= {"retention", "causal_reach", "gradient_reach", "truncation_reach", "lyapunov"}
    assert set(frame["label"]) == set(frame["cell"]) == {"mine:Model (units 5)"}
    assert set(frame["network.class"]) == {"mine:Model"}
    assert not {"hidden", "cell.name"} & set(frame)


def test_a_network_has_a_key_of_its_own_and_a_changed_trial_keeps_it(tmp_path: Path) -> None:
    one, two = sweep(tmp_path).trials()
    assert one.changed(seed=1) == two != one
    as_cell = NETWORK.replace("network", "cell").replace("Model", "GRU").replace("mine", "torch.nn")
    as_cell = as_cell.replace(", with: {units: 5}", "") + "  hidden: 3\n"
    other = sweep(tmp_path, as_cell.replace("cell", "network").replace("  hidden: 3\n", "") + SWEEP).trials()[0]
    assert other.architecture.hidden == 3
    assert other.key != sweep(tmp_path, as_cell + SWEEP).trials()[0].key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  depth: 2\n", "depth: depth is about a cell and its layers, .* leave it out"),
        ("  init: orthogonal\n", "init: init is about a cell"),
        ("  hidden: 9\n", "hidden: hidden is about a cell"),
        ("  encoder: one_hot\n", "encoder: .*"),
        ("  match: {parameters: 500}\n", "match: match is about a cell"),
        ("  cell: gru\n", "cell: network takes the place of cell: keep one of them"),
        ("  measures: [gate_times]\n", "measures: gate_times is about units of a cell"),
    ],
)
def test_what_is_about_cells_is_refused_at_its_place(tmp_path: Path, text: str, message: str) -> None:
    line = 2 + len(BASE.splitlines())
    with pytest.raises(ConfigError, match=rf"mine\.yaml:{line}:\d+: base\.{message}"):
        sweep(tmp_path, NETWORK + text + SWEEP)


def test_a_class_that_does_not_fit_is_refused_with_the_reason(tmp_path: Path) -> None:
    line = 1 + len(BASE.splitlines())
    place = rf"mine\.yaml:{line}:\d+: base\.network"
    with pytest.raises(ConfigError, match=rf"{place}: Tutorial\(.*missing.*'hidden_size'.*CLASS\(inputs, outputs"):
        sweep(tmp_path, NETWORK.replace("Model", "Tutorial").replace(", with: {units: 5}", "") + SWEEP)
    with pytest.raises(ConfigError, match=rf"{place}: .*outputs of shape \(2, 3\), and must return \(2, 5, 3\)"):
        sweep(tmp_path, NETWORK.replace("Model", "LastOnly").replace("units", "hidden_size") + SWEEP)
    with pytest.raises(ConfigError, match=r"base\.network\.class: mine\.py has no 'Modell'; did you mean 'Model'"):
        sweep(tmp_path, NETWORK.replace("Model", "Modell") + SWEEP)
    with pytest.raises(ConfigError, match="a whole network with a readout of its own is given as network: instead of"):
        sweep(
            tmp_path, NETWORK.replace("Model", "Tutorial").replace("network:", "cell:").replace("units: 5", "") + SWEEP
        )


def test_an_argument_of_the_class_is_an_axis_beside_cells(tmp_path: Path) -> None:
    text = "sweep:\n  - cell: [gru]\n    hidden: [4]\n    lag: [2]\n"
    network = NETWORK.replace("units: 5", "").strip()
    found = sweep(
        tmp_path, f"{text}  - {network.replace(': ', ': [', 1)}]\n    network.with.units: [3, 7]\n    lag: [2]\n"
    )
    trial_checks.check(found)
    assert [trial.label for trial in found.trials()] == ["GRU", "mine:Model (units 3)", "mine:Model (units 7)"]


class Given(nn.Module):
    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.rnn, self.readout = nn.RNN(input_size, hidden_size, batch_first=True), nn.Linear(hidden_size, output_size)

    def forward(self, x: torch.Tensor) -> Any:
        return self.readout(self.rnn(x)[0])


def test_horizon_takes_a_class_with_outputs_as_a_whole_network() -> None:
    def search(network: Any, **settings: Any) -> Trial:
        trials = horizon_search(network, "recall", settings, precision=0.3, limit=8, seeds=12)
        return trials.arms[0]

    trial = search(Given, hidden=7)
    assert trial.network is not None
    assert trial.network.options == {"hidden_size": 7}
    assert search({"class": Given, "with": {"hidden_size": 9}}).label.endswith(":Given (hidden_size 9)")
    assert search(lambda inputs, outputs: nn.Linear(inputs, outputs)).network is not None
    message = re.escape(
        "farback.horizon: hidden: is not an argument of torch.nn.modules.linear:Linear: it takes no number"
    )
    with pytest.raises(ConfigError, match=message):
        search(nn.Linear, hidden=np.int64(5))
