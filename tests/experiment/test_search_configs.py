"""The section `search:` of a config, and the errors about it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from farback.experiment import Search

Load = Callable[..., Search]
Problems = Callable[..., list[str]]

HEAD = """\
name: demo
base: {task: recall, lag: 5, steps: 10, measures: [{name: retention, lags: [1, 5]}]}
search:
"""
CELLS = "{cell: [{name: elman, nonlinearity: tanh}, gru]}"


def config(space: str = "{hidden: [8, 16]}", objective: str = "area", **keys: str) -> str:
    """A search whose space is on line 4, objective on 5, groups on 6, and further keys after those."""
    keys = {"groups": CELLS, **keys}
    lines = [f"  {name}: {text}\n" for name, text in {"space": space, "objective": objective, **keys}.items()]
    return HEAD + "".join(lines)


def test_a_search_has_groups_a_space_and_defaults(load: Load) -> None:
    numbers = "optimizer.lr: {log: [1e-4, 1e-1]}, hidden: {int: [8, 32], step: 8}, clip: {float: [0.5, 2]}"
    space = f"{{{numbers}, init: [torch, chrono]}}"
    search = load(config(space, groups="{cell: [gru, lstm]}"))
    assert [group.label for group in search.groups] == ["GRU", "LSTM"]
    assert [(one.path, one.kind, one.count, one.log) for one in search.space] == [
        ("optimizer.lr", "float", None, True),
        ("hidden", "int", 4, False),
        ("clip", "float", None, False),
        ("init", "categorical", 2, False),
    ]
    assert (search.trials_per_group, search.options.seeds, search.options.batch) == (40, 2, 4)
    assert (search.options.sampler.name, search.options.pruner) == ("tpe", "none")
    assert search.directions == ("maximize",)
    assert not set(search.search_seeds) & set(search.report_seeds)


def test_search_and_report_have_different_seeds(load: Load) -> None:
    search = load(config(seeds="1000", report="{seeds: 1000}"))
    assert len(set(search.search_seeds) | set(search.report_seeds)) == 2000


def test_a_component_is_set_before_its_fields(load: Load) -> None:
    space = "{optimizer.lr: [1e-3, 1e-2], optimizer: [sgd, adam], hidden: {int: [8, 16]}}"
    search = load(config(space))
    trial = search.trial(search.groups[1], {"optimizer": "sgd", "optimizer.lr": 1e-2, "hidden": 9}, seed=7)
    assert (trial.cell.name, trial.optimizer.name, trial.optimizer.lr, trial.hidden, trial.seed) == (
        *("gru", "sgd", 0.01, 9, 7),
    )


def test_a_condition_may_depend_on_the_group(load: Load) -> None:
    space = "{cell.nonlinearity: {choices: [tanh, relu], when: {cell.name: elman}}, hidden: [8]}"
    search = load(config(space, groups="{cell: [elman, gru]}"))
    assert [group.label for group in search.groups] == ["elman", "gru"]  # what is searched is no part of a name
    settings = [search.walk(group, lambda one: one.levels[-1])[1] for group in search.groups]
    assert [set(chosen) for chosen in settings] == [{"cell.nonlinearity", "hidden"}, {"hidden"}]


def test_groups_may_be_a_path_of_the_space(load: Load) -> None:
    search = load(config("{hidden: [8, 16], cell: [gru, lstm, elman]}", groups="cell"))
    assert [group.label for group in search.groups] == ["GRU", "LSTM", "RNN tanh"]
    assert [one.path for one in search.space] == ["hidden"]


def test_two_objectives_have_a_direction_each(load: Load) -> None:
    search = load(config(objective="[{skill: 5}, updates]"))
    assert search.directions == ("maximize", "minimize")
    assert [str(objective) for objective in search.objectives] == ["skill at lag 5", "updates to solve"]


def test_overrides_reach_keys_dimensions_and_base(load: Load) -> None:
    text = config("{hidden: [8, 16], optimizer.lr: {log: [1e-4, 1e-1]}}")
    search = load(text, "search.trials=3", "hidden=9", "steps=20", "search.space.optimizer.lr={log: [1e-3, 1e-2]}")
    assert search.trials_per_group == 3
    assert search.space[0].scalars() == [9]
    assert (search.space[1].low, search.space[1].high) == (1e-3, 1e-2)
    assert search.trial(search.groups[0], {"hidden": 9, "optimizer.lr": 2e-3}, 0).steps == 20


def test_a_search_has_no_list_of_trials(load: Load) -> None:
    search = load(config())
    assert isinstance(search, Search)
    assert not hasattr(search, "trials")


def test_contrasts_are_the_groups_and_the_ends_of_every_dimension(load: Load) -> None:
    found = load(config("{hidden: {int: [8, 16]}, init: [torch, chrono]}", groups="{cell: [gru, lstm]}")).contrasts()
    assert [(path, len(trials)) for path, _, trials in found] == [
        ("cell", 2),
        *[("hidden", 2), ("init", 2)] * 2,
    ]
    assert [trial.hidden for trial in found[1][2]] == [8, 16]


SPACE = "search.space"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (config(trails="3"), "demo.yaml:7:3: search.trails: unknown key 'trails'; did you mean 'trials'?"),
        (config("{hiden: [8]}"), "demo.yaml:4:11: search.space.hiden: unknown key 'hiden'; did you mean 'hidden'?"),
        (
            config("{optimizer.lrr: {log: [1e-3, 1e-2]}}"),
            "demo.yaml:4:11: search.space.optimizer.lrr.log: unknown key 'lrr'; did you mean 'lr'?",
        ),
        (
            config("{init: [torch, othogonal]}"),
            "demo.yaml:4:25: search.space.init[1]: unknown init 'othogonal'; did you mean 'orthogonal'?",
        ),
        (
            config("{hidden: {int: [0, 8]}}"),
            "demo.yaml:4:26: search.space.hidden.int[0]: must be at least 1, got 0",
        ),
        (
            config("{hidden: {int: [8, 16], stp: 4}}"),
            "demo.yaml:4:34: search.space.hidden.stp: unknown key 'stp'; did you mean 'step'? choose from step, when",
        ),
        (
            config("{hidden: {int: [8, 15], step: 4}}"),
            "demo.yaml:4:40: search.space.hidden.step: 15 is not reached from 8 by steps of 4; end at 12",
        ),
        (config("{hidden: {int: [8.5, 9]}}"), f"demo.yaml:4:26: {SPACE}.hidden.int[0]: must be an integer, got 8.5"),
        (
            config("{clip: {float: [1, 2], step: 5e-324}}"),
            f"demo.yaml:4:39: {SPACE}.clip.step: the step 4.94066e-324 is too",
        ),
        (config("{hidden: {int: [9, 8]}}"), f"demo.yaml:4:20: {SPACE}.hidden.int: the first end must be smaller"),
        (config("{clip: {log: [0, 1]}}"), f"demo.yaml:4:18: {SPACE}.clip.log: a logarithmic range must begin above 0"),
        (config("{clip: {folat: [0, 1]}}"), f"demo.yaml:4:11: {SPACE}.clip: must be a list of choices"),
        (config("{clip: [1.0, 1.0]}"), f"demo.yaml:4:17: {SPACE}.clip: the choice 1 is given twice"),
        (config("{seed: [1, 2]}"), f"demo.yaml:4:11: {SPACE}.seed: a search sets the seeds itself"),
        (config("[8]"), f"demo.yaml:4:3: {SPACE}: must map paths to choices or ranges"),
        (
            config("{cell.nonlinearity: [tanh, relu]}"),
            f"demo.yaml:4:11: {SPACE}.cell.nonlinearity: unknown key 'nonlinearity'; gru has no fields (at cell=gru)",
        ),
        (
            config("{cell.nonlinearity: {choices: [tanh], when: {cell.name: elmn}}, hidden: [8]}"),
            f"demo.yaml:4:55: {SPACE}.cell.nonlinearity.when.cell.name: cell.name is never 'elmn': it is elman or gru",
        ),
        (
            config("{hidden: {choices: [8], when: {clip: 1.0}}, clip: {choices: [1.0], when: {hidden: 8}}}"),
            f"demo.yaml:4:11: {SPACE}.hidden: the conditions of hidden, clip form a circle",
        ),
        (config(objective="horzon"), "demo.yaml:5:14: search.objective: must be horizon, skill, {skill: LAG}"),
        (config(objective="{skill: 3}"), "demo.yaml:5:3: search.objective: skill at lag 3: no measure has lag 3"),
        (config(objective="[area, area]"), "demo.yaml:5:3: search.objective: area under the retention curve is given"),
        (config(groups="{cell: [gru, lsmt]}"), "demo.yaml:6:24: search.groups.cell[1]: unknown cell 'lsmt'; did you"),
        (
            config(groups="{hidden: [8, 9]}"),
            "demo.yaml:6:12: search.groups.hidden: is also in the space, at",
        ),
        (config(groups="hiden"), "demo.yaml:6:11: search.groups: must be axes as in a sweep, or a path of the space"),
        (config(sampler="tpa"), "demo.yaml:7:12: search.sampler: unknown sampler 'tpa'; did you mean 'tpe'?"),
        (config(pruner="medain"), "demo.yaml:7:11: search.pruner: must be one of 'median'"),
        (config(pruner="wilcoxon"), "demo.yaml:7:3: search.pruner: wilcoxon compares seed by seed: set"),
        (config(trials="0"), "demo.yaml:7:11: search.trials: must be at least 1, got 0"),
        (config(report="{seds: 3}"), "demo.yaml:7:12: search.report.seds: unknown key 'seds'; did you mean 'seeds'?"),
        (config(direction="up"), "demo.yaml:7:3: search.direction: must be maximize or minimize"),
        (config(sampler="grid"), "demo.yaml:3:1: search.trials: the grid of RNN tanh has 2 points"),
        (config("{clip: {float: [0.5, 1]}}", sampler="grid"), "demo.yaml:7:3: search.sampler: the sampler grid needs"),
        (
            config(objective="[area, updates]", pruner="median"),
            "demo.yaml:7:3: search.pruner: median needs a single",
        ),
        (
            config(objective="[area, updates]", sampler="cmaes"),
            "demo.yaml:7:3: search.sampler: cmaes needs a single",
        ),
        (
            config() + "sweep:\n  - lag: [1]\n",
            "demo.yaml:3:1: search: a config has either a sweep or a search, and the sweep is",
        ),
        ("name: demo\nsearch: [1]\n", "demo.yaml:2:1: search: must be a mapping with space and objective, got [1]"),
        (HEAD + "  trials: 3\n", "demo.yaml:3:1: search.space: is missing"),
    ],
)
def test_a_mistake_in_a_search_is_an_error_with_its_position(text: str, line: str, problems: Problems) -> None:
    found = problems(text)
    assert found[0].startswith(line)


def test_the_horizon_needs_a_measure_at_several_lags(problems: Problems) -> None:
    text = config(objective="horizon").replace("lags: [1, 5]", "lags: [5]")
    (found,) = problems(text)
    assert "retention is needed at several lags above 0, but is measured at [5]" in found
