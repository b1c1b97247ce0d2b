"""Runs and searches of modules of the user's: in worker processes, with errors, and with broken laws."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from farback.executors import Executor, Serial
from farback.executors.pool import Pool
from farback.experiment import ConfigError, Experiment, Sweep
from farback.runs import trial_checks
from farback.runs.changed_files import warn_of_changed_files
from farback.stores.memory import Memory
from farback.trials.events import Failed, Finished
from open_sweeps import recorded_events, sweep_run

MINE = """
import torch
from torch import nn


class Gated(nn.Module):
    def __init__(self, input_size, hidden_size, keep=0.5):
        super().__init__()
        self.inward = nn.Linear(input_size, hidden_size)
        self.keep = nn.Parameter(torch.full((hidden_size,), keep))

    def forward(self, x, h=None):
        h = x.new_zeros(len(x), len(self.keep)) if h is None else h
        return self.keep * h + torch.tanh(self.inward(x))


class FailsLater(Gated):
    def forward(self, x, h=None):
        if self.training and torch.is_grad_enabled() and len(x) == 4:
            raise RuntimeError("too late")
        return super().forward(x, h)


class Unread(Gated):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.unread = nn.Parameter(torch.ones(3))


class Mixes(Gated):
    def forward(self, x, h=None):
        return super().forward(x - x.mean(0), h)


class Detached(Gated):
    def forward(self, x, h=None):
        return super().forward(x, h).detach()


class References(Gated):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.values = {"keep": self.keep, "weight": self.inward.weight}

    def forward(self, x, h=None):
        h = x.new_zeros(len(x), len(self.keep)) if h is None else h
        return self.values["keep"] * h + torch.tanh(x @ self.values["weight"].T)
"""
BASE = """
name: mine
base:
  task: {name: recall, symbols: 2}
  hidden: 6
  batch: 4
  steps: 4
  evaluate_every: 2
  measures: [{name: retention, sequences: 32}]
"""


def load(folder: Path, text: str) -> Experiment:
    (folder / "configs").mkdir(exist_ok=True)
    (folder / "mine.py").write_text(MINE)
    (folder / "configs" / "mine.yaml").write_text(BASE + text)
    return Experiment.load(folder / "configs" / "mine.yaml")


def sweep(folder: Path, cell: str) -> Sweep:
    found = load(folder, f"  cell: {cell}\nsweep:\n  - lag: [2]\n    seed: {{range: 2}}\n")
    assert isinstance(found, Sweep)
    return found


@pytest.fixture(autouse=True)
def _other_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARBACK_PROJECT", "")  # restored afterwards: loading a config sets it


def test_workers_import_the_class_and_get_the_same_numbers(tmp_path: Path) -> None:
    """A deep, bidirectional network, in this process and in another one."""
    experiment = sweep(
        tmp_path, "{name: module, class: 'mine:Gated', with: {keep: 0.8}}\n  depth: 2\n  bidirectional: true"
    )
    frames = []
    for executor in (Serial(), Pool(1)):
        store = Memory()
        with executor as running:
            assert isinstance(running, Executor)
            events = list(recorded_events(sweep_run(experiment, store, running)))
        assert sum(isinstance(event, Finished) for event in events) == 2
        frames.append(
            store.frame("mine").sort_values(["key", "measure", "step", "lag", "statistic"], ignore_index=True)
        )
    columns = ["key", "measure", "step", "lag", "statistic", "value", "cell.with.keep"]
    assert frames[0][columns].equals(frames[1][columns])


def test_an_error_in_training_names_the_user_s_file_and_line(tmp_path: Path) -> None:
    experiment = sweep(tmp_path, "{name: module, class: 'mine:FailsLater'}")
    events = list(recorded_events(sweep_run(experiment, Memory())))
    line = 1 + MINE.splitlines().index('            raise RuntimeError("too late")')
    messages = {event.error for event in events if isinstance(event, Failed)}
    assert len(messages) == 1
    assert f'RuntimeError: too late, at mine.py:{line} (raise RuntimeError("too late"))' in messages.pop()


def test_a_changed_file_makes_other_trials_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Memory()
    first = sweep(tmp_path, "{name: module, class: 'mine:Gated'}")
    assert sum(isinstance(event, Finished) for event in recorded_events(sweep_run(first, store))) == 2
    (tmp_path / "mine.py").write_text(MINE.replace("torch.tanh", "torch.sin"))
    second = Experiment.load(tmp_path / "configs" / "mine.yaml")
    assert isinstance(second, Sweep)
    assert not {trial.key for trial in first.trials()} & {trial.key for trial in second.trials()}
    with caplog.at_level(logging.WARNING, "farback"):
        warn_of_changed_files(store, "mine", second.trials())
    assert [record.message.partition(" trained with it")[0] for record in caplog.records] == [
        "mine.py has changed since 2 recorded trials of mine were"
    ]


def test_a_law_that_only_some_results_need_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "farback"):
        trial_checks.check(sweep(tmp_path, "{name: module, class: 'mine:Unread'}"))
    assert [record.message for record in caplog.records] == [
        "mine:Unread breaks the law that gradients reach every parameter: none reaches unread: never trained"
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Detached", "breaks the law that gradients .*: none reaches any of"),
        ("References", r"uses a parameter of the shape \(6, 7\) that is not registered"),
    ],
)
def test_a_module_of_which_nothing_would_be_trained_is_refused(tmp_path: Path, name: str, message: str) -> None:
    """As a layer of ncps, LTC, which computes with its parameters by references in a dict."""
    with pytest.raises(ConfigError, match=f"cell: mine:{name} {message}"):
        trial_checks.check(sweep(tmp_path, f"{{name: module, class: 'mine:{name}'}}"))


def test_an_unusable_class_is_refused_at_its_place_in_the_config(tmp_path: Path) -> None:
    line = 1 + len(BASE.splitlines())
    with pytest.raises(ConfigError, match=rf"mine\.yaml:{line}:\d+: base\.cell: mine:Mixes was given inputs"):
        sweep(tmp_path, "{name: module, class: 'mine:Mixes'}")
    with pytest.raises(
        ConfigError, match=rf"mine\.yaml:{line}:\d+: base\.cell\.class: mine\.py has no 'Gate'; did you"
    ):
        sweep(tmp_path, "{name: module, class: 'mine:Gate'}")
    with pytest.raises(ConfigError, match=rf"mine\.yaml:{line}:\d+: base\.cell: Gated\(.*keeps.*its arguments are"):
        sweep(tmp_path, "{name: module, class: 'mine:Gated', with: {keeps: 0.8}}")


def test_an_argument_of_the_class_can_be_an_axis_and_a_dimension_of_a_search(tmp_path: Path) -> None:
    cell = "  cell: {name: module, class: 'mine:Gated'}\n"
    axis = load(tmp_path, f"{cell}sweep:\n  - cell.with.keep: [0.5, 0.9]\n    lag: [2]\n")
    assert isinstance(axis, Sweep)
    trial_checks.check(axis)
    assert [trial.label for trial in axis.trials()] == ["mine:Gated (keep 0.5)", "mine:Gated (keep 0.9)"]
    objective = "  objective: skill\n  trials: 3\n"
    load(tmp_path, f"{cell}  lag: 2\nsearch:\n  space:\n    cell.with.keep: {{float: [0.5, 0.99]}}\n{objective}")


def test_a_file_of_another_project_with_the_same_name_is_another_class(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    one = sweep(first, "{name: module, class: 'mine:Gated'}").trials()[0]
    two = sweep(second, "{name: module, class: 'mine:Gated'}").trials()[0]
    assert one.key == two.key  # the text is the same
    (second / "mine.py").write_text(MINE.replace("torch.tanh", "torch.sin"))
    assert Experiment.load(second / "configs" / "mine.yaml").trials()[0].key != one.key  # type: ignore[attr-defined]
    assert Experiment.load(first / "configs" / "mine.yaml").trials()[0].key == one.key  # type: ignore[attr-defined]
