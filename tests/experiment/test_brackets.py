"""`lag: {bracket: [5, 320]}`: every lag is a checked trial, and trials that differ only in the lag are grouped."""

import pytest

from farback import ConfigError, Experiment

CONFIG = """
name: {name}
base: {{task: {{name: recall, symbols: 2}}, steps: 10}}
sweep:
  - cell: [gru, lstm]
    lag: {lag}
    seed: {{range: 2}}
"""


def written(folder, lag, name="bracketed"):
    path = folder / f"{name}.yaml"
    path.write_text(CONFIG.format(lag=lag, name=name))
    return path


def test_lags_double_and_end_at_the_last_one(tmp_path):
    trials = Experiment.load(written(tmp_path, "{bracket: [5, 320]}")).trials()
    assert sorted({trial.lag for trial in trials}) == [5, 10, 20, 40, 80, 160, 320]
    trials = Experiment.load(written(tmp_path, "{bracket: [3, 20]}")).trials()
    assert sorted({trial.lag for trial in trials}) == [3, 6, 12, 20]


def test_trials_of_one_bracket_differ_only_in_the_lag(tmp_path):
    experiment = Experiment.load(written(tmp_path, "{bracket: [5, 40]}"))
    chains = experiment.brackets(experiment.trials())
    assert len(chains) == 4  # two cells, two seeds
    for chain in chains:
        assert [trial.lag for trial in chain] == [5, 10, 20, 40]
        assert len({(trial.cell, trial.seed) for trial in chain}) == 1


def test_a_trial_has_the_same_key_with_and_without_a_bracket(tmp_path):
    picked = Experiment.load(written(tmp_path, "{bracket: [5, 40]}")).trials()
    given = Experiment.load(written(tmp_path, "[5, 10, 20, 40]", "given")).trials()
    assert [trial.key for trial in picked] == [trial.key for trial in given]
    assert {trial.columns()["bracket"] for trial in picked} == {"5 10 20 40"}
    assert all("bracket" not in trial.columns() for trial in given)


def test_set_accepts_a_bracket(tmp_path):
    experiment = Experiment.load(written(tmp_path, "[5]"), ["lag={bracket: [5, 20]}"])
    assert [trial.lag for trial in experiment.brackets(experiment.trials())[0]] == [5, 10, 20]


@pytest.mark.parametrize(
    ("lag", "said"),
    [
        ("{bracket: [320, 5]}", "the smaller first, got [320, 5]"),
        ("{bracket: [0, 5]}", "above 0"),
        ("{bracket: 5}", "two lags [smallest, largest], got 5"),
        ("{bracket: [1, 2, 3]}", "two lags"),
        ("{bracket: [1.5, 3]}", "two lags"),
    ],
)
def test_a_wrong_bracket_is_an_error_with_its_position(tmp_path, lag, said):
    with pytest.raises(ConfigError, match=r"bracketed\.yaml:6:5: sweep\[0\]\.lag") as refused:
        Experiment.load(written(tmp_path, lag))
    assert said in str(refused.value)


def test_a_bracket_is_an_axis_of_lags_outside_zip(tmp_path):
    path = written(tmp_path, "[5]")
    path.write_text(path.read_text().replace("seed: {range: 2}", "hidden: {bracket: [8, 64]}"))
    with pytest.raises(ConfigError, match="only the axis lag can have one"):
        Experiment.load(path)
    path = written(tmp_path, "[5]")
    path.write_text(path.read_text().replace("    lag: [5]\n", "    zip: {depth: [1, 2], lag: {bracket: [5, 10]}}\n"))
    with pytest.raises(ConfigError, match="cannot be paired"):
        Experiment.load(path)
