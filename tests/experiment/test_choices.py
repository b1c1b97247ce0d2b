"""`--set` and `--only`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from small_configs import config, values

from farback.experiment import ConfigError, Experiment

Load = Callable[..., Experiment]
Problems = Callable[..., list[str]]
SWEEP = "  - lag: [1, 2]\n    zip: {hidden: [3, 4], depth: [1, 2]}\n  - task: [recall]\n    seed: [7]"


def test_an_override_sets_a_value_of_the_base(load: Load) -> None:
    experiment = load(config(), "hidden=7", "optimizer.lr=1e-2", "task.symbols=8", "clip=null", "cell={name: lstm}")
    names = ["hidden", "optimizer.name", "optimizer.lr", "task.symbols", "clip", "cell.name"]
    assert values(experiment, names) == [(7, "adam", 0.01, 8, None, "lstm")]
    assert experiment.overrides[0] == "hidden=7"


def test_an_override_of_an_axis_is_its_only_level(load: Load) -> None:
    assert values(load(config(SWEEP), "lag=9"), ["lag"]) == [(9,)] * 3


def test_a_list_or_range_replaces_the_levels(load: Load) -> None:
    assert values(load(config(SWEEP), "lag=[8, 9]"), ["lag", "hidden"]) == [(8, 3), (8, 4), (9, 3), (9, 4), (5, 32)]
    assert values(load(config(SWEEP), "seed={range: 2}"), ["seed"]) == [(0,)] * 4 + [(0,), (1,)]


def test_a_single_value_leaves_its_zip(load: Load) -> None:
    assert values(load(config(SWEEP), "hidden=9"), ["lag", "hidden", "depth"]) == [
        (1, 9, 1),
        (1, 9, 2),
        (2, 9, 1),
        (2, 9, 2),
        (5, 9, 1),
    ]
    assert len(load(config(SWEEP), "hidden=9", "depth=1").trials()) == 3


def test_an_axis_over_the_component_does_not_undo_an_override_of_its_field(load: Load) -> None:
    assert values(load(config(SWEEP), "task.symbols=9"), ["task.symbols"]) == [(9,)] * 5


def test_the_last_override_of_a_key_wins(load: Load) -> None:
    assert values(load(config(), "lag=7", "lag=8"), ["lag"]) == [(8,)]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("lag=x", "--set lag=x: lag: must be an integer, got 'x'"),
        ("lag", "--set lag: write key=value, such as lag=5 or optimizer.lr=1e-3"),
        ("=5", "--set =5: write key=value, such as lag=5 or optimizer.lr=1e-3"),
        ("lag=[", "--set lag=[: not YAML: expected the node content"),
        ("hiden=3", "--set hiden=3: hiden: unknown key 'hiden'; did you mean 'hidden'?"),
        ("task.symbls=3", "--set task.symbls=3: task.symbls: unknown key 'symbls'; did you mean 'symbols'?"),
        ("lag=[5, 6]", "--set lag=[5, 6]: lag: the sweep has no axis 'lag', so give one value, not several"),
        ("seed={range: 3}", "--set seed={range: 3}: seed: the sweep has no axis 'seed', so give one value"),
    ],
)
def test_a_wrong_override_is_an_error_that_names_the_option(override: str, line: str, problems: Problems) -> None:
    (found,) = problems(config(), override)
    assert found.startswith(line)


def test_an_override_can_fix_a_mistake_in_the_file(load: Load) -> None:
    text = config("  - cell: [lsmt]")
    with pytest.raises(ConfigError):
        load(text)
    assert len(load(text, "cell=lstm").trials()) == 1


NETWORKS = """\
  - cell: [{name: elman, nonlinearity: tanh}, {name: elman, nonlinearity: relu}, lstm]
    lag: [5, 10]
    seed: {range: 2}"""


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ([], 12),
        (["cell=lstm"], 4),
        (["cell.name=elman"], 8),
        (["cell.nonlinearity=tanh"], 4),
        (["cell=lstm,elman"], 12),
        (["lag=5,10"], 12),
        (["lag=5", "seed=0"], 3),
        (["optimizer.lr=0.001"], 12),
        (["optimizer.lr=1e-3", "init=torch", "bias=true"], 12),
    ],
)
def test_only_keeps_the_trials_that_match_every_filter(filters: list[str], count: int, load: Load) -> None:
    experiment = load(config(NETWORKS))
    kept = experiment.only(filters)
    assert len(kept) == count
    assert kept == [trial for trial in experiment.trials() if trial in kept]


def test_one_trial_can_be_selected_by_its_key(load: Load) -> None:
    experiment = load(config(NETWORKS))
    trial = experiment.trials()[3]
    assert experiment.only([f"key={trial.key}"]) == [trial]


@pytest.mark.parametrize(
    ("filters", "line"),
    [
        (["cel=lstm"], "--only cel=lstm: cel: no trial has a parameter 'cel'; did you mean 'cell'?"),
        (["lags=5"], "--only lags=5: lags: no trial has a parameter 'lags'; did you mean 'lag'?"),
        (["lag=7"], "--only lag=7: lag: no trial has lag '7'; choose from 5, 10"),
        (
            ["cell=lsmt"],
            "--only cell=lsmt: cell: no trial has cell 'lsmt'; did you mean 'lstm'? choose from lstm, elman",
        ),
        (["lag"], "--only lag: write key=value or key=value,value, such as cell=lstm or lag=5,10"),
        (
            ["cell=lstm", "cell.nonlinearity=tanh"],
            "--only cell=lstm --only cell.nonlinearity=tanh: no trial passes all",
        ),
    ],
)
def test_a_filter_that_matches_nothing_is_an_error(filters: list[str], line: str, load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load(config(NETWORKS)).only(filters)
    assert str(caught.value).startswith(line)
