"""Names as tables and figures show them can be typed."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from farback.cli import main
from farback.experiment import ConfigError, Experiment, Search, Sweep
from farback.records.component import Component
from farback.records.entry_points import KINDS

BASE = "base: {task: recall, lag: 2, hidden: 2, batch: 2, steps: 1, evaluate_every: 1"


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def make(rest: str, *overrides: str) -> Any:
        (tmp_path / "mine.yaml").write_text(f"{BASE}{rest}")
        return Experiment.load(tmp_path / "mine.yaml", overrides)

    return make


@pytest.mark.parametrize("package", KINDS)
def test_every_label_means_the_component_that_is_shown_so(package: str) -> None:
    family = importlib.import_module(f"farback.{package}.base").FAMILY
    for label, spec in family.labels().items():
        for text in (label, label.lower(), label.upper()):
            built = family.build(text)
            assert isinstance(built, Component)
            assert built.label() == label
            assert built == family.build(spec)


def test_labels_with_numbers_are_read() -> None:
    inits = importlib.import_module("farback.inits")
    assert inits.build("chrono (longest 77)") == inits.build({"name": "chrono", "longest": 77})
    for wrong in ("chrono (longest -3)", "chrono (length 77)", "chrono (longest 77", "chrono (longest)"):
        with pytest.raises(ValueError, match="unknown init"):
            inits.build(wrong)


def test_fields_beside_a_shown_name_count_more_than_the_name() -> None:
    cells = importlib.import_module("farback.cells")
    assert cells.build({"name": "RNN tanh", "nonlinearity": "relu"}).label() == "RNN relu"


@pytest.mark.parametrize(
    ("shown", "own"),
    [
        (", cell: GRU}", ", cell: gru}"),
        (", cell: RNN tanh}", ", cell: elman}"),
        (", cell: {name: RNN relu}}", ", cell: {name: elman, nonlinearity: relu}}"),
        (", cell: LSTM, init: Chrono}", ", cell: lstm, init: chrono}"),
        ("}\nsweep: [{cell: [RNN relu, GRU]}]", "}\nsweep: [{cell: [{name: elman, nonlinearity: relu}, gru]}]"),
        (
            "}\nsweep: [{zip: {cell.name: [GRU, LSTM], lag: [1, 2]}}]",
            "}\nsweep: [{zip: {cell.name: [gru, lstm], lag: [1, 2]}}]",
        ),
        (", cell: gru, measures: [Retention]}", ", cell: gru, measures: [retention]}"),
        (", cell: gru, optimizer: {name: Adam, lr: 0.5}}", ", cell: gru, optimizer: {name: adam, lr: 0.5}}"),
    ],
)
def test_a_config_with_shown_names_has_the_trials_of_one_with_own_names(load: Any, shown: str, own: str) -> None:
    assert [trial.key for trial in load(shown).trials()] == [trial.key for trial in load(own).trials()]


def test_options_take_shown_names(load: Any) -> None:
    sweep = load("}\nsweep: [{cell: [gru, elman, {name: elman, nonlinearity: relu}], seed: {range: 2}}]")
    assert isinstance(sweep, Sweep)
    assert {trial.label for trial in sweep.only(["cell=GRU"])} == {"GRU"}
    assert {trial.label for trial in sweep.only(["cell=RNN tanh"])} == {"RNN tanh"}
    assert {trial.label for trial in sweep.only(["cell=rnn RELU,gru"])} == {"RNN relu", "GRU"}
    assert {trial.label for trial in sweep.only(["cell=elman"])} == {"RNN tanh", "RNN relu"}
    with pytest.raises(ConfigError, match="no trial has cell 'LSTM'"):
        sweep.only(["cell=LSTM"])
    with pytest.raises(ConfigError, match="did you mean 'elman'"):
        sweep.only(["cell=rnn"])
    assert {trial.label for trial in load(", cell: gru}", "base.cell=LSTM").trials()} == {"LSTM"}
    assert {trial.label for trial in load(", cell: RNN tanh}", "cell.nonlinearity=relu").trials()} == {"RNN relu"}


def test_names_that_mean_nothing_get_a_suggestion_in_either_spelling(load: Any) -> None:
    for typed, meant in (("rnn", "elman"), ("RNN tan", "RNN tanh"), ("RNN gelo", "RNN gelu"), ("lstmm", "lstm")):
        with pytest.raises(ConfigError, match=f"unknown cell {typed!r}; did you mean {meant!r}"):
            load(f", cell: {typed}}}")


def test_a_search_takes_shown_names_in_choices_groups_and_conditions(load: Any) -> None:
    """Spelled otherwise, a condition would silently never hold, and the study would be another one."""
    text = """}}
search:
  space:
    cell: [{gru}, {lstm}]
    init.longest: {{int: [5, 50], when: {{cell.name: {lstm}}}}}
  objective: skill
  trials: 1
"""
    own, shown = (
        ", init: chrono" + text.format(gru="gru", lstm="lstm"),
        ", init: Chrono" + text.format(gru="GRU", lstm="LSTM"),
    )
    for first, second in (
        (own, shown),
        (own.replace("cell: [", "cell: {choices: [").replace("]\n    init", "]}\n    init"), shown),
    ):
        one, two = load(first), load(second)
        assert isinstance(one, Search)
        assert one.identity() == two.identity()


def test_show_takes_shown_names(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    documents = []
    for name in ("RNN relu", "elman --set nonlinearity=relu"):
        first, *rest = name.split(" --set ")
        monkeypatch.setattr(
            "sys.argv", ["farback", "show", "cell", first, *(["--set", *rest] if rest else []), "--json"]
        )
        with pytest.raises(SystemExit):
            main()
        documents.append(json.loads(capsys.readouterr().out))
    assert documents[0] == documents[1]
    assert documents[0]["facts"]["label"] == "RNN relu"
