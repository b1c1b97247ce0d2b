"""Importances and Optuna's own figures of studies whose answer is known."""

from pathlib import Path

import optuna
import pytest
from matplotlib import pyplot

from farback.runs.search.importances import importances
from farback.runs.search.optuna_figures import figures

optuna.logging.set_verbosity(optuna.logging.WARNING)


def study(trials=40, directions=("maximize",), useless=False):
    """Random search on a function of x alone; `y` does nothing, and `z` is there for one of two choices."""
    made = optuna.create_study(directions=list(directions), sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial):
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("optimizer.lr", 1e-4, 1e-1, log=True)
        if trial.suggest_categorical("init", ["torch", "chrono"]) == "chrono":
            trial.suggest_float("init.longest", 1, 9)
        value = 1.0 if useless else -((x - 0.3) ** 2)
        return value if len(directions) == 1 else (value, y)

    made.optimize(objective, n_trials=trials)
    return made


def test_what_decides_is_what_matters():
    table = importances({"GRU": study(), "LSTM": study()})
    assert table.columns.tolist() == ["group", "parameter", "importance"]
    for _, own in table.groupby("group"):
        assert own["parameter"].iloc[0] == "x"
        assert own["importance"].iloc[0] > 0.6
        assert own["importance"].sum() == pytest.approx(1)
        assert set(own["parameter"]) == {"x", "optimizer.lr", "init", "init.longest"}


def test_the_same_study_has_the_same_importances():
    made = study()
    assert importances({"": made}).equals(importances({"": made}))


@pytest.mark.parametrize(("trials", "useless"), [(0, False), (1, False), (19, False), (40, True)])
def test_where_nothing_can_be_told_nothing_is_said(trials, useless):
    assert importances({"": study(trials, useless=useless)}).empty


def test_optuna_draws_every_study_and_leaves_no_figure_and_no_style_behind(tmp_path: Path):
    open_before, style_before = pyplot.get_fignums(), dict(pyplot.rcParams)
    written = figures({"RNN tanh": study(8), "GRU": study(8), "none": study(0)}, tmp_path)
    assert sorted(path.name for path in written) == sorted(
        [
            f"optuna-{group}-{name}.png"
            for group in ("RNN-tanh", "GRU")
            for name in ("history", "slices", "parallel", "importances", "timeline")
        ]
        + ["optuna-edf.png"]
    )
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
    assert pyplot.get_fignums() == open_before
    assert dict(pyplot.rcParams) == style_before  # Optuna's figures choose a style for the whole process


def test_two_objectives_have_a_front(tmp_path: Path):
    written = figures({"": study(8, ("maximize", "minimize"))}, tmp_path)
    assert [path.name for path in written] == ["optuna-front.png", "optuna-timeline.png"]
