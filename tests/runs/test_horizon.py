"""`farback.horizon`: the same trainings as in a sweep, clear errors, and partial results."""

import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import farback
from farback import tables
from farback.records.user_error import UserError
from farback.runs import horizon as horizons
from farback.runs.horizon_arguments import horizon_search
from farback.runs.horizon_result import HorizonResult
from farback.stores.memory import Memory
from farback.tables.horizon_estimates import HorizonEstimate
from farback.trials.events import Event, Failed, Finished

TASK = {"name": "recall", "symbols": 2, "filler": "blank"}
ADAM = {"name": "adam", "lr": 0.03}
SMALL: dict[str, Any] = {"task": TASK, "hidden": 4, "steps": 60, "evaluate_every": 20, "batch": 8, "precision": 0.6}
SMALL |= {"limit": 16, "workers": 1, "progress": False, "optimizer": ADAM}
SHORT = {**SMALL, "steps": 2, "evaluate_every": 1}  # learns nothing
CONFIG = """
base:
  task: {name: recall, symbols: 2, filler: blank}
  cell: gru
  hidden: 4
  steps: 60
  evaluate_every: 20
  batch: 8
sweep:
  - lag: {adaptive: [1, 16], precision: 0.6}
    tune: {optimizer.lr: [3.0e-3, 1.0e-2, 3.0e-2]}
"""
ANSWER = HorizonEstimate(26.0, 24.0, 30.0, 1.0, 320.0)


def test_a_shift_register_has_the_horizon_of_its_last_slot() -> None:
    """With 24 units and 3 inputs it holds the last 8 inputs: perfect at lag 7, blind at lag 8."""
    arguments = {**SMALL, "hidden": 24, "steps": 200, "precision": 0.1}
    found = farback.horizon("shift_register", **arguments)
    assert found.bound == "none"
    assert 7 <= found.estimate <= 8
    assert found.low <= 7.5 <= found.high
    assert found.done
    assert found.trained == found.frame["key"].nunique()


class Delay(nn.Module):
    """Holds the last 8 of 3 inputs, as the shift register above."""

    def __init__(self, inputs: int, hidden: int, broken: bool = False) -> None:
        super().__init__()
        self.hidden, self.broken = hidden, broken

    def forward(self, x_BI: Tensor, state_BH: Tensor) -> Tensor:
        if self.broken:
            raise KeyError("no such thing")
        return torch.cat([x_BI, state_BH], -1)[:, : self.hidden]


@pytest.mark.slow
def test_a_module_has_the_horizon_of_the_same_cell_of_farback() -> None:
    """From a file that workers can import, from this process only, and from a spec."""
    arguments = {**SMALL, "hidden": 24, "steps": 200, "precision": 0.4}

    class Local(Delay):
        pass

    native = farback.horizon("shift_register", **arguments)
    spec = {"name": "module", "class": Delay, "with": {"broken": False}}
    for network, name in [(Delay, f"{__name__}:Delay"), (Local, "Local"), (lambda i, h: Delay(i, h), "<lambda>")]:
        found = farback.horizon(network, **arguments)
        assert (found.horizon, found.trained, found.network) == (native.horizon, native.trained, name)
    assert farback.horizon(spec, **arguments).horizon == native.horizon


class WholeGRU(nn.Module):
    def __init__(self, inputs: int, outputs: int, hidden: int) -> None:
        super().__init__()
        self.gru, self.readout = nn.GRU(inputs, hidden, batch_first=True), nn.Linear(hidden, outputs)

    def forward(self, x_BTI: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h_BTH, last = self.gru(x_BTI, state)
        return self.readout(h_BTH), last


@pytest.mark.slow
@pytest.mark.parametrize("network", [{"name": "module", "class": "torch.nn:GRU"}, WholeGRU], ids=["cell", "network"])
def test_a_gru_of_torch_has_the_horizon_of_farback_s_within_intervals(network: Any) -> None:
    """As a cell and as a whole network. Its own code draws other weights, so the trainings are not the same."""
    arguments = {**SMALL, "hidden": 8, "steps": 100, "precision": 0.4, "limit": 64}
    native, found = (farback.horizon(each, **arguments) for each in ("gru", network))
    assert native.bound == found.bound == "none"
    assert found.low <= native.high
    assert native.low <= found.high


def test_classes_of_this_process_are_never_mistaken_for_each_other() -> None:
    ends: dict[str, Any] = {"precision": 0.3, "limit": 40, "seeds": None}

    def made() -> type[nn.Module]:
        class Local(Delay):
            pass

        return Local

    arms = [horizon_search(made(), TASK, {"hidden": 24}, **ends).arms[0] for _ in range(2)]
    assert arms[0].key != arms[1].key
    arms = [horizon_search(Delay, TASK, {"hidden": 24}, **ends).arms[0] for _ in range(2)]
    assert arms[0].key == arms[1].key


def test_a_class_of_this_process_is_trained_here_and_not_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    class Local(Delay):
        pass

    arguments = {**SHORT, "hidden": 24, "workers": 2, "progress": True}
    farback.horizon(Local, **arguments)
    assert "to train in this process (it is in no file that workers could import)" in capsys.readouterr().err
    with pytest.raises(UserError, match="name: Local can only be recorded if it is imported from a file"):
        farback.horizon(Local, **arguments, name="mine", store=Memory())


def test_an_error_in_a_module_names_its_line() -> None:
    broken = {"name": "module", "class": Delay, "with": {"broken": True}}
    with pytest.raises(UserError, match=r"farback.horizon: .*KeyError: .*test_horizon\.py:\d+ \(raise KeyError"):
        farback.horizon(broken, **{**SMALL, "hidden": 24})


def test_a_memoryless_network_has_a_bound() -> None:
    found = farback.horizon("memoryless", **SMALL)
    assert (found.estimate, found.bound, found.done) == (0, "below", True)


def test_it_trains_the_trials_of_a_sweep_with_the_same_settings(tmp_path: Path) -> None:
    """Also with another number of workers."""
    config = tmp_path / "small.yaml"
    config.write_text(CONFIG)
    store = Memory()
    experiment = farback.Experiment.load(config)
    farback.run(experiment, store=store, workers=1, progress=False)
    swept = farback.frame(experiment, store=store)
    found = farback.horizon("gru", **{name: value for name, value in SMALL.items() if name != "optimizer"})
    pd.testing.assert_frame_equal(found.frame[swept.columns], swept)
    (row,) = tables.trainability(swept).to_dict("records")
    assert (str(found.horizon), found.bound) == (row["horizon"], row["bound"])
    assert (found.estimate, found.low, found.high) == (row["estimate"], row["low"], row["high"])


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing() -> None:
    alone = farback.horizon("gru", **SMALL)
    together = farback.horizon("gru", **{**SMALL, "workers": 2})
    pd.testing.assert_frame_equal(alone.frame, together.frame)
    assert alone == together


@pytest.mark.parametrize(
    ("module", "cell"),
    [(nn.RNN, "elman"), (nn.LSTM, "lstm"), (nn.GRU, "gru"), (nn.RNNCell, "elman"), (nn.GRUCell, "gru")],
)
def test_modules_of_torch_are_cells_of_farback(module: type[nn.Module], cell: str) -> None:
    ends: dict[str, Any] = {"precision": 0.3, "limit": 40, "seeds": None}
    arms = [horizon_search(network, "recall", {"hidden": 8}, **ends).arms for network in (module, cell)]
    assert arms[0] == arms[1]


def test_settings_replace_the_defaults() -> None:
    options: dict[str, Any] = {"precision": 0.3, "limit": 40, "seeds": 12}
    search = horizon_search("lstm", "adding", {"hidden": 8, "init": "chrono", "depth": 2, "batch": 4}, **options)
    assert search.settings == ("optimizer.lr 0.003", "optimizer.lr 0.01", "optimizer.lr 0.03")
    assert search.ends == (2, 40)  # the task needs a lag of 2
    trial = search.arms[1]
    assert (trial.init.name, trial.depth, trial.batch, trial.steps, trial.hidden) == ("chrono", 2, 4, 600, 8)
    assert trial.optimizer.spec()["lr"] == 0.01
    (single,) = horizon_search("lstm", "recall", {"optimizer": "sgd", "match": {"state": 40}}, **options).arms
    assert (single.optimizer.name, single.hidden) == ("sgd", 20)


@pytest.mark.parametrize(
    ("network", "arguments", "message"),
    [
        ("lstmm", {}, "farback.horizon: network: unknown cell 'lstmm'; did you mean 'lstm'? choose from"),
        ({"name": "elman", "nonlinearity": "tanj"}, {}, "network.nonlinearity: must be one of 'tanh'"),
        (nn.GRU(3, 4), {}, "network: is a module; every training needs a fresh one: give the class GRU"),
        (7, {}, "network: "),
        ("gru", {"task": "recal"}, "task: unknown task 'recal'; did you mean 'recall'?"),
        ("gru", {"task": {"name": "recall", "symbols": 1}}, "task.symbols: must be at least 2, got 1"),
        ("gru", {"task": {"name": "recall", "lag": 5}}, "task.lag: is chosen; the largest lag is `limit`"),
        ("gru", {"lag": 5}, "lag: is chosen"),
        ("gru", {"train_lags": {"uniform": [1, 5]}}, "train_lags: must be fixed"),
        ("gru", {"dept": 2}, "dept: unknown key 'dept'; did you mean 'depth'?"),
        ("gru", {"hidden": 0}, "hidden: must be at least 1, got 0"),
        ("gru", {"optimizer": {"name": "adam", "lr": "high"}}, "optimizer.lr: must be a number, got 'high'"),
        ("gru", {"measures": ["lyapunov"]}, "add `retention` to `measures:`"),
        ("gru", {"limit": 1}, "limit: must be above 1, the smallest lag to try, got 1"),
        ("gru", {"limit": 2.5}, "limit: must be an integer, got 2.5"),
        ("gru", {"limit": 100_000_000}, "limit: must be at most 10000000, got 100000000"),
        ("gru", {"task": "adding", "limit": 1}, "needs a lag of 2 or more"),
        ("gru", {"precision": 0}, "precision: must be at least 0.02, got 0"),
        ("gru", {"seeds": 5}, "seeds: must be at least 12, got 5"),
        ("gru", {"store": "sqlite:///x.db"}, "store: needs a `name`"),
        ("gru", {"device": "tpu"}, "device is 'tpu'"),
        ("gru", {"workers": 0}, "workers: must be at least 1, got 0"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_is_trained(
    network: Any, arguments: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(horizons, "execute", None)
    with pytest.raises(UserError) as error:
        farback.horizon(network, **{**SMALL, **arguments})
    assert message in str(error.value)


def test_nothing_is_written_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    farback.horizon("memoryless", **SHORT)
    assert not list(tmp_path.iterdir())


def test_with_a_name_the_recorded_trainings_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Memory()
    first = farback.horizon("gru", **SHORT, name="mine", store=store)
    other = farback.horizon("memoryless", **SHORT, name="mine", store=store)
    assert set(store.frame("mine")["key"]) == {*first.frame["key"], *other.frame["key"]}
    monkeypatch.setattr(horizons, "execute", None)
    again = farback.horizon("gru", **SHORT, name="mine", store=store)
    assert again == first
    pd.testing.assert_frame_equal(again.frame, first.frame)


def stopped_after(count: int, training: Callable[..., Iterator[Event]]) -> Callable[..., Iterator[Event]]:
    """The trainings, until Ctrl-C arrives when `count` of them have ended."""

    def events(*arguments: Any) -> Iterator[Event]:
        ended = 0
        for event in training(*arguments):
            yield event
            ended += isinstance(event, Finished)
            if ended == count:
                raise KeyboardInterrupt

    return events


def test_ctrl_c_at_a_prompt_returns_the_complete_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of one batch that learn end first, so that a part of a batch has too many of them."""
    monkeypatch.setattr(horizons, "execute", stopped_after(8, horizons.execute))
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    found = farback.horizon("gru", **{**SMALL, "precision": 0.1})
    assert found.trained == 6  # two batches of three
    assert not found.done
    assert "stopped before the precision was reached" in repr(found)


def test_ctrl_c_in_a_script_ends_it_and_shows_the_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(horizons, "execute", stopped_after(3, horizons.execute))
    monkeypatch.delattr(sys, "ps1", raising=False)
    with pytest.raises(KeyboardInterrupt):
        farback.horizon("gru", **{**SMALL, "precision": 0.1, "progress": True})
    assert "interrupted: " in capsys.readouterr().err


def test_ctrl_c_before_the_first_result_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(horizons, "execute", stopped_after(2, horizons.execute))
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    with pytest.raises(KeyboardInterrupt):
        farback.horizon("gru", **SMALL)


def test_a_training_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*arguments: Any) -> Iterator[Event]:
        yield Failed("key", "RuntimeError: it broke", "File mine.py, line 3")

    monkeypatch.setattr(horizons, "execute", failing)
    with pytest.raises(UserError, match=r"a training of GRU failed: RuntimeError: it broke\nFile mine.py, line 3"):
        farback.horizon("gru", **SMALL)


def test_progress_in_a_pipe_is_lines(capsys: pytest.CaptureFixture[str]) -> None:
    farback.horizon("memoryless", **{**SHORT, "progress": True})
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[0] == "memoryless: lags 1 to 16, about 30 networks to train in this process"
    farback.horizon("memoryless", **SHORT)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("horizon", "text"),
    [
        (ANSWER, "Half of fresh GRU networks learn recall up to a lag of 26 steps (95 %: 24 to 30); 33 networks"),
        (
            HorizonEstimate(math.inf, 300.0, math.inf, 1.0, 320.0),
            "Most fresh GRU networks learn recall at lag 320, the largest tried (95 %: from 300); 33 networks trained",
        ),
        (
            HorizonEstimate(0.0, 0.0, 0.0, 1.0, 320.0),
            "Most fresh GRU networks fail on recall at lag 1, the smallest tr",
        ),
    ],
)
def test_the_repr_is_the_answer(horizon: HorizonEstimate, text: str) -> None:
    result = HorizonResult("GRU", "recall", horizon, 33, True, {"hidden": 32, "steps": 600}, pd.DataFrame())
    assert repr(result).startswith(text)
    assert repr(result).endswith("(hidden 32, steps 600)")


def test_the_plot_is_a_figure_or_goes_into_given_axes() -> None:
    found = farback.horizon("gru", **SMALL)
    assert isinstance(found.plot(), Figure)
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert found.plot(ax=right) is figure
    assert right.collections
    assert not left.collections


def test_a_cell_can_be_named_as_tables_show_it() -> None:
    ends: dict[str, Any] = {"precision": 0.3, "limit": 40, "seeds": None}
    for shown, spec in [("GRU", "gru"), ("RNN relu", {"name": "elman", "nonlinearity": "relu"})]:
        arms = [horizon_search(network, "recall", {"hidden": 8}, **ends).arms for network in (shown, spec)]
        assert arms[0] == arms[1]


def test_a_module_that_breaks_a_law_is_refused() -> None:
    """Its outputs are not repeated: it keeps its state from call to call."""

    class Keeping(Delay):
        calls = 0

        def forward(self, x_BI: Tensor, state_BH: Tensor) -> Tensor:
            self.calls += 1
            return super().forward(x_BI, state_BH) + self.calls

    with pytest.raises(UserError, match=r"farback.horizon: .*Keeping .*other outputs when the same inputs"):
        farback.horizon(Keeping, **{**SMALL, "hidden": 24})
