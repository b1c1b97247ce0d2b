from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_configs import config, values

from farback import cells
from farback.experiment import Sweep

Load = Callable[..., Sweep]

quietly = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)


def test_without_a_sweep_the_base_is_the_only_trial(load: Load) -> None:
    experiment = load(config())
    (trial,) = experiment.trials()
    assert (trial.lag, trial.task.name, trial.cell.name, trial.steps) == (5, "recall", "elman", 10)
    assert (experiment.name, experiment.question) == ("demo", "")


def test_the_last_axis_changes_fastest(load: Load) -> None:
    experiment = load(config("  - depth: [2, 1]\n    lag: [10, 5]\n    seed: {range: 2}"))
    assert values(experiment, ["depth", "lag", "seed"]) == list(itertools.product([2, 1], [10, 5], [0, 1]))


def test_grids_follow_each_other_in_order(load: Load) -> None:
    experiment = load(config("  - lag: [7, 3]\n  - hidden: [4]\n    lag: [2]"))
    assert values(experiment, ["lag", "hidden"]) == [(7, 32), (3, 32), (2, 4)]


def test_zip_pairs_axes_and_is_one_axis_of_the_product(load: Load) -> None:
    experiment = load(config("  - zip: {lag: [5, 6], hidden: [7, 8]}\n    seed: {range: 2}"))
    assert values(experiment, ["lag", "hidden", "seed"]) == [(5, 7, 0), (5, 7, 1), (6, 8, 0), (6, 8, 1)]


def test_several_zips_in_a_grid_are_separate_axes(load: Load) -> None:
    experiment = load(config("  - zip:\n    - {lag: [5, 6], hidden: [7, 8]}\n    - {depth: [1, 2], batch: [3, 4]}"))
    assert values(experiment, ["lag", "hidden", "depth", "batch"]) == [
        (5, 7, 1, 3),
        (5, 7, 2, 4),
        (6, 8, 1, 3),
        (6, 8, 2, 4),
    ]


@quietly
@given(st.integers(0, 20), st.integers(1, 20), st.integers(1, 5))
def test_a_range_counts_like_python(load: Load, start: int, length: int, step: int) -> None:
    stop = start + length
    experiment = load(config(f"  - seed: {{range: [{start}, {stop}, {step}]}}"))
    assert values(experiment, ["seed"]) == [(seed,) for seed in range(start, stop, step)]


@quietly
@given(
    st.dictionaries(
        st.sampled_from(["lag", "hidden", "depth", "batch", "seed", "task.symbols", "optimizer.lr"]),
        st.lists(st.integers(2, 60), min_size=1, max_size=4, unique=True),
        min_size=1,
        max_size=4,
    )
)
def test_a_grid_is_the_product_of_its_axes(load: Load, axes: dict[str, list[int]]) -> None:
    lines = "\n".join(f"    {path}: {levels}" for path, levels in axes.items())
    experiment = load(config("  -" + lines[3:]))
    assert values(experiment, list(axes)) == list(itertools.product(*axes.values()))
    assert [axis.path for axis in experiment.grids[0].axes] == list(axes)


def test_a_dotted_path_sets_a_field_of_a_component_given_by_its_name(load: Load) -> None:
    experiment = load(config("  - task.symbols: [3, 8]"))
    assert values(experiment, ["task.name", "task.symbols"]) == [("recall", 3), ("recall", 8)]


def test_a_dotted_path_sets_a_field_of_a_default_component(load: Load) -> None:
    experiment = load(config("  - optimizer.lr: [1e-2, 0.1]"))
    assert values(experiment, ["optimizer.name", "optimizer.lr"]) == [("adam", 0.01), ("adam", 0.1)]


def test_a_dotted_path_keeps_the_other_fields_of_the_component(load: Load) -> None:
    base = "{task: {name: recall, filler: blank}, lag: 5, cell: elman}"
    experiment = load(config("  - task.symbols: [3, 8]", base))
    assert values(experiment, ["task.symbols", "task.filler"]) == [(3, "blank"), (8, "blank")]


def test_a_level_that_is_a_component_replaces_the_whole_component_of_the_base(load: Load) -> None:
    base = "{task: recall, lag: 5, cell: {name: elman, nonlinearity: relu}}"
    experiment = load(config("  - cell: [{name: elman}, lstm]", base))
    assert [trial.cell for trial in experiment.trials()] == [cells.build("elman"), cells.build("lstm")]


def test_a_component_is_set_before_its_fields_in_any_order(load: Load) -> None:
    written = ["    cell.nonlinearity: [relu, tanh]", "    cell: [elman]"]
    for lines in (written, written[::-1]):
        experiment = load(config("  -" + "\n".join(lines)[3:]))
        assert values(experiment, ["cell.name", "cell.nonlinearity"]) == [("elman", "relu"), ("elman", "tanh")]


def test_axes_may_set_what_the_base_omits(load: Load) -> None:
    text = "name: demo\nsweep:\n  - {task: [recall], lag: [1, 2], cell: [gru]}\n"
    assert len(load(text).trials()) == 2


def test_an_axis_may_name_the_component_whose_fields_the_base_sets(load: Load) -> None:
    base = "{task: recall, lag: 5, cell: elman, optimizer: {lr: 0.1}}"
    experiment = load(config("  - optimizer.name: [adam, sgd]", base))
    assert values(experiment, ["optimizer.name", "optimizer.lr"]) == [("adam", 0.1), ("sgd", 0.1)]


def test_anchors_and_merge_keys_are_read(load: Load) -> None:
    text = config("  - zip: &pairs {lag: [5, 6], hidden: [7, 8]}\n  - zip: *pairs\n    <<: {seed: [9]}")
    assert values(load(text), ["lag", "hidden", "seed"]) == [(5, 7, 0), (6, 8, 0), (5, 7, 9), (6, 8, 9)]


def test_numbers_follow_yaml_1_2(load: Load) -> None:
    experiment = load(config(base="{task: recall, lag: 010, cell: gru, clip: 1e-3, seed: 0x10, batch: 0o17}"))
    assert values(experiment, ["lag", "clip", "seed", "batch"]) == [(10, 0.001, 16, 15)]


def test_contrasts_vary_one_axis_and_keep_the_others_at_their_first_level(load: Load) -> None:
    experiment = load(config("  - zip: {lag: [5, 6], hidden: [7, 8]}\n    depth: [3]\n    seed: {range: 3}"))
    assert [(path, where) for path, where, _ in experiment.contrasts()] == [
        ("lag + hidden", "demo.yaml:4:11"),
        ("seed", "demo.yaml:6:5"),
    ]
    for (_, _, trials), names in zip(experiment.contrasts(), [("lag", "hidden"), ("seed",)], strict=True):
        first = trials[0].parameters()
        assert first == experiment.trials()[0].parameters()
        for other in trials[1:]:
            assert {name for name, value in other.parameters().items() if value != first[name]} == set(names)
    assert [len(trials) for _, _, trials in experiment.contrasts()] == [2, 3]


def test_an_axis_and_its_levels_have_positions(load: Load) -> None:
    experiment = load(config("  - task.symbols: [3, 8]\n    seed: {range: 2}", "{task: recall, lag: 5, cell: gru}"))
    (grid,) = experiment.grids
    symbols, seed = grid.axes
    assert (str(grid.mark), grid.origin) == ("demo.yaml:4:5", "sweep[0]")
    assert list(map(str, (*symbols.keys, *seed.keys))) == ["demo.yaml:4:5", "demo.yaml:5:5"]
    assert [(str(node.mark), node.origin) for (node,) in symbols.levels] == [
        ("demo.yaml:4:20", "sweep[0].task.symbols[0]"),
        ("demo.yaml:4:23", "sweep[0].task.symbols[1]"),
    ]


@pytest.mark.slow
def test_ten_thousand_trials_take_seconds(load: Load) -> None:
    started = time.process_time()
    experiment = load(config("  - lag: {range: [1, 101]}\n    seed: {range: 50}\n    hidden: [8, 16]"))
    assert len(experiment.trials()) == 10_000
    assert time.process_time() - started < 20  # 2 s on a quiet core


@pytest.mark.slow
def test_loading_a_config_and_counting_its_states_does_not_import_large_packages(load: Load) -> None:
    load(config("  - cell: [gru, lstm, mamba, s4d, d_linoss, mamba2, mlstm, attention, tcn, cfc]"))
    code = (
        "import sys; from farback.experiment import Experiment;"
        "[trial.architecture.counts for trial in Experiment.load('demo.yaml').trials()];"
        "large = ('mlflow', 'optuna', 'seaborn', 'matplotlib', 'dask', 'sympy');"
        "print([name for name in large if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
