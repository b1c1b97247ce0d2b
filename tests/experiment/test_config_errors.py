from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from farback import cells, encoders, tasks
from farback.experiment import ConfigError, Experiment
from farback.trials.trial import Trial

Problems = Callable[..., list[str]]
HEAD = "name: demo\n"
BASE = HEAD + "base: {task: recall, lag: 5, cell: elman}\n"

# Config, and the line that it gives (its beginning, where it ends with a list of choices).
WRONG = {
    "a typo in a top-level key": (
        BASE + "swep: []\n",
        "demo.yaml:3:1: swep: unknown key 'swep'; did you mean 'sweep'? choose from sweep, name, question, base",
    ),
    "a typo in a field": (
        HEAD + "base:\n  task: recall\n  lag: 5\n  cell: elman\n  hiden: 3\n",
        "demo.yaml:6:3: base.hiden: unknown key 'hiden'; did you mean 'hidden'? choose from hidden, task, lag,",
    ),
    "a typo in a component's field": (
        HEAD + "base:\n  task: {name: recall, symbls: 4}\n  lag: 5\n  cell: elman\n",
        "demo.yaml:3:24: base.task.symbls: unknown key 'symbls'; did you mean 'symbols'? choose from symbols,",
    ),
    "a typo in an axis": (
        BASE + "sweep:\n  - lags: [1, 2]\n",
        "demo.yaml:4:5: sweep[0].lags: unknown key 'lags'; did you mean 'lag'? choose from lag, task,",
    ),
    "a typo in a dotted axis": (
        BASE + "sweep:\n  - task.symbls: [2, 4]\n",
        "demo.yaml:4:5: sweep[0].task.symbls: unknown key 'symbls'; did you mean 'symbols'? choose from symbols,",
    ),
    "a field of a component without fields": (
        HEAD + "base: {task: recall, lag: 5, cell: {name: lstm, nonlinearity: tanh}}\n",
        "demo.yaml:2:49: base.cell.nonlinearity: unknown key 'nonlinearity'; lstm has no fields",
    ),
    "a missing field": (
        HEAD + "base: {lag: 5, cell: elman}\n",
        "demo.yaml:2:1: base.task: is missing: give it in base or as an axis",
    ),
    "a word for an integer": (
        HEAD + "base:\n  {task: recall, lag: 5, cell: elman,\n   hidden: many}\n",
        "demo.yaml:4:12: base.hidden: must be an integer, got 'many'",
    ),
    "an adaptive lag in base": (
        HEAD + "base: {task: recall, cell: elman, lag: {adaptive: [2, 80]}}\n",
        "demo.yaml:2:35: base.lag: must be an integer, got {adaptive: [2, 80]}; what varies is written below sweep: "
        "(- lag: {adaptive: [2, 80]})",
    ),
    "several seeds in base": (
        HEAD + "base: {task: recall, lag: 5, cell: elman, seed: {range: 3}}\n",
        "demo.yaml:2:43: base.seed: must be an integer, got {range: 3}; what varies is written below sweep: "
        "(- seed: {range: 3})",
    ),
    "several learning rates in base": (
        HEAD + "base: {task: recall, lag: 5, cell: elman, optimizer: {name: adam, lr: [0.1, 0.2]}}\n",
        "demo.yaml:2:67: base.optimizer.lr: must be a number, got [0.1, 0.2]; what varies is written below sweep: "
        "(- optimizer.lr: [0.1, 0.2])",
    ),
    "a boolean for an integer": (
        HEAD + "base: {task: recall, lag: 5, cell: elman, hidden: true}\n",
        "demo.yaml:2:51: base.hidden: must be an integer, got true",
    ),
    "a quoted number": (
        HEAD + "base: {task: recall, lag: '5', cell: elman}\n",
        "demo.yaml:2:27: base.lag: must be an integer, got '5'",
    ),
    "the yes of YAML 1.1": (
        HEAD + "base: {task: recall, lag: 5, cell: elman, bias: yes}\n",
        "demo.yaml:2:49: base.bias: must be true or false, got 'yes'",
    ),
    "out of range": (
        HEAD + "base: {task: recall, lag: 5, cell: elman, optimizer: {name: adam, lr: -3}}\n",
        "demo.yaml:2:71: base.optimizer.lr: must be greater than 0, got -3",
    ),
    "nan": (
        HEAD + "base: {task: recall, lag: 5, cell: elman, clip: .nan}\n",
        "demo.yaml:2:49: base.clip: must be a finite number, got nan",
    ),
    "infinity": (
        HEAD + "base: {task: recall, lag: 5, cell: elman, optimizer: {name: adam, lr: 1e999}}\n",
        "demo.yaml:2:71: base.optimizer.lr: must be a finite number, got inf",
    ),
    "not one of the choices": (
        HEAD + "base: {task: recall, lag: 5, cell: elman, initial_state: zero}\n",
        "demo.yaml:2:58: base.initial_state: must be one of 'zeros', 'learned', got 'zero'; did you mean 'zeros'?",
    ),
    "a budget that is too small": (
        HEAD + "base: {task: recall, lag: 5, cell: gru, match: {parameters: 9}}\n",
        "demo.yaml:2:61: base.match.parameters: a budget of 9 parameters is too small: the smallest such network of "
        "GRU (hidden 1) has 44",
    ),
    "a budget that is too small at some levels": (
        HEAD + "base: {task: recall, lag: 5, match: {state: 1}}\nsweep:\n  - cell: [gru, lstm]\n",
        "demo.yaml:2:45: base.match.state: a budget of 1 numbers of state is too small: the smallest such network of "
        "LSTM (hidden 1) has 2 (at cell=lstm)",
    ),
    "a budget of an axis that is too large": (
        BASE + "sweep:\n  - match.state: [8, 8192]\n",
        "demo.yaml:4:22: sweep[0].match.state[1]: a budget of 8192 numbers of state is too large: RNN tanh with the "
        "largest allowed hidden size, 8192, has 8192",
    ),
    "a match beside a hidden size": (
        HEAD + "base: {task: recall, lag: 5, cell: gru, hidden: 8, match: {state: 9}}\n",
        "demo.yaml:2:52: base.match: chooses hidden, also set at demo.yaml:2:49: keep one",
    ),
    "a match without a budget": (
        HEAD + "base: {task: recall, lag: 5, cell: gru, match: state}\n",
        "demo.yaml:2:48: base.match: match needs a budget, such as {parameters: 5000} or {state: 64}, got 'state'",
    ),
    "a match of two kinds": (
        HEAD + "base: {task: recall, lag: 5, cell: gru, match: {state: 9, flops: 99}}\n",
        "demo.yaml:2:41: base.match: match takes one of parameters, state, flops, got state and flops",
    ),
    "a typo in a match": (
        HEAD + "base: {task: recall, lag: 5, cell: gru, match: {stat: 9}}\n",
        "demo.yaml:2:49: base.match.stat: unknown key 'stat'; did you mean 'state'? choose from state,",
    ),
    "an unknown task": (
        HEAD + "base: {task: recal, lag: 5, cell: elman}\n",
        "demo.yaml:2:14: base.task: unknown task 'recal'; did you mean 'recall'? choose from recall, adding,",
    ),
    "an unknown cell in a mapping": (
        HEAD + "base: {task: recall, lag: 5, cell: {name: lsmt}}\n",
        "demo.yaml:2:43: base.cell.name: unknown cell 'lsmt'; did you mean 'lstm'? choose from lstm, antisymmetric,",
    ),
    "an unknown init in a sweep": (
        BASE + "sweep:\n  - init: [torch, ortogonal]\n",
        "demo.yaml:4:19: sweep[0].init[1]: unknown init 'ortogonal'; did you mean 'orthogonal'? choose from",
    ),
    "an unknown measure": (
        HEAD + "base: {task: recall, lag: 5, cell: elman, measures: [retentio]}\n",
        "demo.yaml:2:54: base.measures[0]: unknown measure 'retentio'; did you mean 'retention'?",
    ),
    "a measure listed twice": (
        HEAD + "base: {task: recall, lag: 5, cell: elman, measures: [retention, {name: retention, lags: [1]}]}\n",
        "demo.yaml:2:1: base: the measure retention is listed twice, and its scores could not be told apart: keep one",
    ),
    "a value deep in a list": (
        HEAD + "base: {task: recall, lag: 5, cell: elman, measures: [{name: retention, lags: [1, two]}]}\n",
        "demo.yaml:2:82: base.measures[0].lags[1]: must be an integer, got 'two'",
    ),
    "a component without a name": (
        HEAD + "base: {task: recall, lag: 5, cell: elman, optimizer: {lr: 0.1}}\n",
        "demo.yaml:2:43: base.optimizer: needs a name beside lr; choose from adam, adamw, rmsprop, sgd",
    ),
    "a word for a list": (
        HEAD + "base: {task: recall, lag: 5, cell: elman, measures: retention}\n",
        "demo.yaml:2:53: base.measures: must be a list, got 'retention'",
    ),
    "training lags in the wrong order": (
        HEAD + "base: {task: recall, cell: elman, train_lags: {uniform: [9, 5]}}\n",
        "demo.yaml:2:35: base.train_lags: the range of lags must be [smallest, largest], got [9, 5]",
    ),
    "a key beside training lags": (
        HEAD + "base: {task: recall, cell: elman, train_lags: {uniform: [5, 9], largest: 3}}\n",
        "demo.yaml:2:65: base.train_lags.largest: unknown key 'largest'; choose from uniform",
    ),
    "a component's field with the component's name": (
        HEAD + "base: {task: recall, lag: 5, cell: {name: elman, elman: 3}}\n",
        "demo.yaml:2:50: base.cell.elman: unknown key 'elman'; choose from nonlinearity",
    ),
    "a training lag out of range, said once": (
        HEAD + "base: {task: recall, cell: elman, train_lags: {uniform: [1, -7]}}\n",
        "demo.yaml:2:61: base.train_lags.uniform[1]: must be at least 1, got -7",
    ),
    "a lag out of range, said once": (
        HEAD + "base: {task: recall, cell: elman, lag: -7}\n",
        "demo.yaml:2:40: base.lag: must be at least 0, got -7",
    ),
    "a task's own lag out of range, said once": (
        HEAD + "base: {task: {name: recall, lag: -7}, cell: elman}\n",
        "demo.yaml:2:34: base.task.lag: must be at least 0, got -7",
    ),
    "two lags": (
        HEAD + "base: {task: {name: recall, lag: 7}, cell: elman, lag: 5}\n",
        "demo.yaml:2:34: base.task.lag: the lag is given twice, here and at demo.yaml:2:56: keep one",
    ),
    "a wrong value that every grid replaces": (
        HEAD + "base: {task: recall, lag: five, cell: elman}\nsweep:\n  - lag: [1, 2]\n",
        "demo.yaml:2:27: base.lag: must be an integer, got 'five'",
    ),
    "a level out of range": (
        BASE + "sweep:\n  - lag: [1, -1]\n    seed: {range: 3}\n",
        "demo.yaml:4:14: sweep[0].lag[1]: must be at least 0, got -1",
    ),
    "a field that one cell of several lacks": (
        BASE + "sweep:\n  - cell: [lstm, elman]\n    cell.nonlinearity: [tanh, relu]\n",
        "demo.yaml:5:5: sweep[0].cell.nonlinearity: unknown key 'nonlinearity'; lstm has no fields (at cell=lstm)",
    ),
    "two fields that do not go together": (
        BASE + "sweep:\n  - cell: [lstm, elman]\n    init: [torch, identity]\n    lag: [1, 2]\n",
        "demo.yaml:4:5: sweep[0]: init identity is for cells with one recurrent matrix; this one has 4, "
        "one for each gate (at cell=lstm, init=identity)",
    ),
    "a dotted path through a number": (
        BASE + "sweep:\n  - hidden.width: [3]\n",
        "demo.yaml:4:5: sweep[0].hidden.width: must be an integer, got {width: 3}",
    ),
    "an axis that is no path": (
        BASE + "sweep:\n  - task..symbols: [3]\n",
        "demo.yaml:4:5: sweep[0].task..symbols: 'task..symbols' is not an axis: name a field (lag) or a dotted path",
    ),
    "an empty sweep": (
        BASE + "sweep: []\n",
        "demo.yaml:3:1: sweep: is empty: give it a grid, or leave it out to train the base alone",
    ),
    "a sweep that is no list": (
        BASE + "sweep: {lag: [1]}\n",
        "demo.yaml:3:1: sweep: must be a list of grids (- axis: [levels]), got {lag: [1]}",
    ),
    "a grid that is no mapping": (
        BASE + "sweep:\n  - lag\n",
        "demo.yaml:4:5: sweep[0]: a grid must be a mapping from axes to levels, got 'lag'",
    ),
    "an axis without levels": (
        BASE + "sweep:\n  - lag: []\n",
        "demo.yaml:4:5: sweep[0].lag: the list of levels is empty",
    ),
    "an axis with a bare level": (
        BASE + "sweep:\n  - lag: 5\n",
        "demo.yaml:4:5: sweep[0].lag: levels must be a list or {range: n}, got 5; write [5]",
    ),
    "an empty range": (
        BASE + "sweep:\n  - lag: {range: 0}\n",
        "demo.yaml:4:5: sweep[0].lag: range 0 has no levels (the stop itself is excluded, as in Python)",
    ),
    "a range that stands still": (
        BASE + "sweep:\n  - lag: {range: [1, 5, 0]}\n",
        "demo.yaml:4:5: sweep[0].lag: the step of a range must not be 0, got [1, 5, 0]",
    ),
    "a range of words": (
        BASE + "sweep:\n  - lag: {range: five}\n",
        "demo.yaml:4:5: sweep[0].lag: range takes an integer n or [start, stop] or [start, stop, step], got 'five'",
    ),
    "a huge range": (
        BASE + "sweep:\n  - lag: {range: 1000000000000000000000}\n",
        "demo.yaml:4:5: sweep[0].lag: range 1000000000000000000000 has 1000000000000000000000 levels; "
        "at most 100000 are allowed",
    ),
    "a huge sweep": (
        BASE + "sweep:\n  - lag: {range: 1000}\n    seed: {range: 1000}\n",
        "demo.yaml:3:1: sweep: makes 1000000 trials or more; at most 100000 are allowed",
    ),
    "a zip of unequal length": (
        BASE + "sweep:\n  - zip: {lag: [1, 2], hidden: [3, 4, 5]}\n",
        "demo.yaml:4:24: sweep[0].zip: the axes of a zip must have equally many levels, but lag has 2, hidden has 3",
    ),
    "a zip of nothing": (
        BASE + "sweep:\n  - zip: {}\n",
        "demo.yaml:4:5: sweep[0].zip: must map axes to lists of equal length, or be a list of such mappings, got {}",
    ),
    "an axis in zip and beside it": (
        BASE + "sweep:\n  - zip: {lag: [1], hidden: [2]}\n    lag: [3]\n",
        "demo.yaml:5:5: sweep[0].lag: axis lag is given twice in this grid, first at demo.yaml:4:11",
    ),
    "an axis twice": (
        BASE + "sweep:\n  - lag: [1]\n    lag: [2]\n",
        "demo.yaml:5:5: sweep[0].lag: key 'lag' is given twice, first on line 4",
    ),
    "a level twice": (
        BASE + "sweep:\n  - lag: [1, 2, 1]\n    seed: {range: 3}\n",
        "demo.yaml:4:17: sweep[0].lag[2]: the same trial twice: lag=1, seed=0 is also made by lag=1, seed=0 "
        "at demo.yaml:4:11; and 2 more pairs like this",
    ),
    "two spellings of a level": (
        BASE + "sweep:\n  - cell: [lstm, {name: lstm}]\n",
        "demo.yaml:4:18: sweep[0].cell[1]: the same trial twice: cell={name: lstm} is also made by cell=lstm "
        "at demo.yaml:4:12",
    ),
    "a trial in two grids": (
        BASE + "sweep:\n  - lag: [1, 2]\n  - {lag: [2], seed: [0]}\n",
        "demo.yaml:5:5: sweep[1]: the same trial twice: lag=2, seed=0 is also made by lag=2 at demo.yaml:4:5",
    ),
    "a name that is not the file's": (
        "name: other\nbase: {task: recall, lag: 5, cell: elman}\n",
        "demo.yaml:1:7: name: must equal the file's name, 'demo', because results are stored under it; got 'other'",
    ),
    "a name that is a path": (
        "name: ../demo\nbase: {task: recall, lag: 5, cell: elman}\n",
        "demo.yaml:1:7: name: must equal the file's name, 'demo', because results are stored under it; got '../demo'",
    ),
    "a question that is no text": (
        BASE + "question: [why]\n",
        "demo.yaml:3:1: question: must be text, got [why]",
    ),
    "a base that is no mapping": (
        HEAD + "base: recall\nsweep:\n  - {task: [recall], lag: [1], cell: [gru]}\n",
        "demo.yaml:2:7: base: must be a mapping, got 'recall'",
    ),
    "an empty file": ("# nothing\n", "demo.yaml:1:1: is empty; a config has the keys name, question, base, sweep"),
    "a list": ("- 1\n", "demo.yaml:1:1: must be a mapping, got [1]; a config has the keys name, question, base, sweep"),
    "broken YAML": (
        "name: [demo\n",
        "demo.yaml:2:1: not YAML: expected ',' or ']', but got '<stream end>', while parsing a flow sequence",
    ),
    "a key twice": (HEAD + BASE, "demo.yaml:2:1: name: key 'name' is given twice, first on line 1"),
    "a tag": (
        HEAD + "base: !!python/object/apply:os.system ['true']\n",
        "demo.yaml:2:7: base: tags are not allowed, got 'tag:yaml.org,2002:python/object/apply:os.system'",
    ),
    "an anchor in itself": (
        HEAD + "base: &a {x: *a}\n",
        "demo.yaml:2:14: base.x: the alias *a needs an anchor &a that ends before it",
    ),
    "two documents": (
        BASE + "---\nx: 1\n",
        "demo.yaml:3:1: a config must be one YAML document, but a second one begins after",
    ),
    "YAML 1.1": ("%YAML 1.1\n---\n" + BASE, "demo.yaml:2:1: the only directive allowed is %YAML 1.2"),
    "not UTF-8": (b"name: demo\nbase: \xe9\n", "demo.yaml:2:7: is not UTF-8 (byte 0xe9)"),
    "a list as a key": (
        HEAD + "base: {? [a] : 3}\n",
        "demo.yaml:2:10: base: a key must be a word, got a list or a mapping",
    ),
    "a number of 500 digits": (
        HEAD + f"base: {{hidden: {'9' * 500}}}\n",
        "demo.yaml:2:16: base.hidden: a number of 500 characters is too long",
    ),
    "a file of a megabyte": (b"#" * 1_000_000, "demo.yaml: is larger than 256 kB, too large for a config"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_one_line_with_its_position_and_what_is_allowed(case: str, problems: Problems) -> None:
    text, line = WRONG[case]
    (found,) = problems(text)
    assert found.startswith(line)


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file(problems: Problems) -> None:
    text = (
        HEAD + "base:\n  tsk: recall\n  lag: many\n  cell: lsmt\n  clip: -1\n"
        "sweep:\n  - hiden: [1, 2]\n    depth: [1, 0]\n  - stop: [nevr]\n"
    )
    found = problems(text)
    assert [re.match(r"demo.yaml:\d+:\d+: [^:]+", line).group() for line in found] == [  # type: ignore[union-attr]
        "demo.yaml:2:1: base.task",
        "demo.yaml:3:3: base.tsk",
        "demo.yaml:4:8: base.lag",
        "demo.yaml:5:9: base.cell",
        "demo.yaml:6:9: base.clip",
        "demo.yaml:8:5: sweep[0].hiden",
        "demo.yaml:9:16: sweep[0].depth[1]",
        "demo.yaml:10:12: sweep[1].stop[0]",
    ]


def test_a_wrong_grid_does_not_hide_mistakes_in_the_base(problems: Problems) -> None:
    found = problems(HEAD + "base: {cell: lstm, hiden: 3}\nsweep:\n  - lag: []\n")
    assert len(found) == 2
    assert "hiden" in found[0]
    assert "levels is empty" in found[1]


def test_many_mistakes_are_cut_off_and_counted(problems: Problems) -> None:
    found = problems(HEAD + "base:\n" + "".join(f"  wrong{index}: 1\n" for index in range(30)))
    assert len(found) == 21
    assert found[-1] == "and 13 more"  # 30 unknown keys and 3 missing ones


def test_the_error_has_the_problems_as_records(load: Callable[..., Experiment]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(HEAD + "base: {task: recall, lag: x, cell: lstm}\n")
    (problem,) = caught.value.problems
    assert (problem.location, problem.path) == ("demo.yaml:2:27", "base.lag")
    assert isinstance(caught.value, ValueError)


def test_the_error_about_an_unknown_name_lists_every_name(problems: Problems) -> None:
    (line,) = problems(HEAD + "base: {task: xyzzy, lag: 5, cell: elman}\n")
    assert all(name in line for name in tasks.names())
    (line,) = problems(HEAD + "base: {task: recall, lag: 5, cell: xyzzy}\n")
    assert all(name in line for name in cells.names())


def test_a_mistake_in_any_field_of_a_trial_has_its_position(problems: Problems) -> None:
    for line, field in enumerate(Trial.model_fields, start=3):
        rest = {"task": "recall", "lag": "5", "cell": "elman"} | {field: "{}"}
        padding = "\n" * (line - 3)
        body = f"  {field}: {{}}\n" + "".join(f"  {key}: {value}\n" for key, value in rest.items() if key != field)
        if field == "block":  # an empty mapping is a block of nothing
            continue
        if field == "encoder" and len(encoders.names()) == 1:  # of a family of one the name may be left out
            continue
        found = problems(f"{HEAD}base:\n{padding}{body}")
        assert any(re.match(rf"demo.yaml:{line}:\d+: base\.{field}\b", each) for each in found), found


@pytest.mark.parametrize("path", ["absent.yaml", ".", "a\0b.yaml"])
def test_a_file_that_cannot_be_read_is_an_error(path: str, load: Callable[..., Experiment]) -> None:
    load(BASE)
    with pytest.raises(ConfigError, match="cannot be read"):
        Experiment.load(path)


def test_the_error_about_a_missing_file_lists_the_configs_in_its_folder(load: Callable[..., Experiment]) -> None:
    load(BASE)
    with pytest.raises(ConfigError, match=r"did you mean 'demo\.yaml'\?"):
        Experiment.load("deno.yaml")


@pytest.mark.parametrize("stem", ["a.b", "café", "a b", "x" * 65])
def test_a_file_name_that_cannot_name_a_folder_is_refused(stem: str, load: Callable[..., Experiment]) -> None:
    load(BASE)
    path = Path(f"{stem}.yaml")
    path.write_text(f"name: {stem}\nbase: {{task: recall, lag: 5, cell: elman}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="file's name must be 1 to 64 letters, digits, - and _"):
        Experiment.load(path)
