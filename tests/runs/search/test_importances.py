"""Importances in studies whose answer is known."""

import optuna
import pytest

from farback.runs.search.importances import importances

optuna.logging.set_verbosity(optuna.logging.WARNING)


def study(trials=40, useless=False):
    """Random search on a function of x alone; the others do nothing, and one is there for one of two choices only."""
    made = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial):
        x = trial.suggest_float("x", 0, 1)
        trial.suggest_float("optimizer.lr", 1e-4, 1e-1, log=True)
        if trial.suggest_categorical("init", ["torch", "chrono"]) == "chrono":
            trial.suggest_float("init.longest", 1, 9)
        return 1.0 if useless else -((x - 0.3) ** 2)

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
def test_too_few_or_too_equal_trials_have_no_importances(trials, useless):
    assert importances({"": study(trials, useless=useless)}).empty
