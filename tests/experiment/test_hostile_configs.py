"""Any file either loads or gives a ConfigError of single lines, within seconds."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from fuzzing import fuzz
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from farback.experiment import ConfigError, Experiment, Problem
from farback.trials.trial import Trial

Load = Callable[..., Experiment]
quietly = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)

HEAD = "name: demo\nbase: {task: recall, lag: 5, cell: elman}\n"
PLACED = re.compile(r"^demo\.yaml(:\d+:\d+: |: is larger than \d+ kB)")
SECONDS = 20  # each takes 3 at most on a quiet core


def survives(load: Load, text: str | bytes, *overrides: str) -> bool:
    """Load a text, check the error messages if there are any, and return whether it was refused."""
    problems: tuple[Problem, ...] | None = None
    try:
        load(text, *overrides)
    except ConfigError as error:
        problems = error.problems
    assert problems != ()
    for line in map(str, problems or ()):
        assert line.splitlines() == [line]
        assert len(line) < 2000
        assert overrides or PLACED.match(line), line
    return problems is not None


@quietly
@given(st.binary(max_size=300))
def test_any_bytes(load: Load, data: bytes) -> None:
    survives(load, data)


@quietly
@given(st.text(alphabet="abc01.-_:,'\"[]{}&*!|>%#?@~ \t\n<=é\x85\u2028", max_size=120))
def test_any_text_of_yaml_characters(load: Load, text: str) -> None:
    survives(load, text)
    survives(load, HEAD + "sweep:\n  - " + text.replace("\n", "\n    "))


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["recall", "elman", "lstm", "chrono", "adam", "fixed", "retention", "name", "range", "zip"]),
)
fields = st.sampled_from(
    [*Trial.model_fields, "name", "symbols", "lr", "uniform", "range", "zip", "task.symbols", "a.b.c"]
)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return inner | st.lists(inner, max_size=3) | st.dictionaries(fields | st.text(max_size=5), inner, max_size=3)


trees: st.SearchStrategy[Any] = nested(nested(scalars))


def written(tree: Any) -> str:
    out = StringIO()
    YAML(typ="safe", pure=True).dump(tree, out)
    return out.getvalue()


@settings(quietly, max_examples=15)
@given(st.dictionaries(fields, trees, max_size=6), st.lists(st.dictionaries(fields, trees, max_size=4), max_size=3))
def test_any_mapping_as_base_and_sweep(load: Load, base: dict[str, Any], sweep: list[Any]) -> None:
    whole = {"task": "recall", "lag": 5, "cell": "elman", **base}
    survives(load, written({"name": "demo", "base": whole, "sweep": sweep}))
    survives(load, written({"name": "demo", "base": base, "sweep": sweep}))


@quietly
@given(st.sampled_from([*Trial.model_fields]), trees)
def test_any_value_of_a_field(load: Load, field: str, value: Any) -> None:
    base = {"task": "recall", "lag": 5, "cell": "elman", field: value}
    survives(load, written({"name": "demo", "base": base}))
    base = {"task": "recall", "lag": 5, "cell": "elman"}
    survives(load, written({"name": "demo", "base": base, "sweep": [{field: [value, value]}]}))


@quietly
@given(st.text(max_size=30), st.text(max_size=20))
def test_any_override(load: Load, key: str, value: str) -> None:
    survives(load, HEAD, f"{key}={value}")
    survives(load, HEAD + "sweep:\n  - lag: [1, 2]\n", f"lag={value}", key)


HOSTILE = {
    "aliases of aliases": HEAD
    + "sweep:\n"
    + "".join(f" - &a{i} [{', '.join([f'*a{i - 1}'] * 10) if i else 1}]\n" for i in range(15)),
    "brackets": "[" * 50_000,
    "braces": "{a: " * 50_000,
    "dashes": "- " * 50_000,
    "questions": "? " * 50_000,
    "open keys": "[?" * 50_000,
    "one key many times": "a:\n" * 80_000,
    "many keys": "".join(f"k{i}: 1\n" for i in range(25_000)),
    "a long list": f"[{'a,' * 100_000}]",
    "a long word": "a" * 250_000,
    "a long quoted text": f"'{'a b ' * 60_000}'",
    "a long block": "|\n" + " a\n" * 60_000,
    "escapes": '"' + "\\x41" * 50_000 + '"',
    "comments": "# x\n" * 60_000,
    "empty lines": "\n" * 250_000,
    "tags": "- !x\n" * 50_000,
    "anchors": "a: &x b\n" * 25_000,
    "merges": "<<: {a: 1}\n" * 20_000,
    "a long path": f"{HEAD}sweep:\n  - {'.'.join(['a'] * 50_000)}: [1]\n",
    "many wrong trials": HEAD.replace("lag: 5", "lag: x") + "sweep:\n  - seed: {range: 100}\n    depth: {range: 50}\n",
    "a null byte": "name: \0",
    "a lone surrogate": HEAD + 'question: "\\ud800"\n',
    "huge hexadecimal": f"{HEAD}sweep: 0x{'f' * 100_000}\n",
    "objects": "name: !!python/object/apply:os.system [touch was-here]\n",
    "names of objects": "base: {task: !!python/name:os.system }\n",
    "new objects": "- !!python/object/new:subprocess.Popen [[touch, was-here]]\n",
    "binary": "name: !!binary aGVsbG8=\n",
    "a set": f"{HEAD}sweep: !!set {{a, b}}\n",
    "a date": f"{HEAD}sweep:\n  - lag: [2024-01-01]\n",
    "an alias of itself": "base: &a {task: *a}\n",
    "a list of itself": f"{HEAD}sweep: &a [*a]\n",
    "a merge of itself": "base: &a {<<: *a, lag: 1}\n",
    "merges in a circle": "base: &a {<<: &b {<<: *a}}\n",
    "a merge of no mapping": "base: {<<: [1, 2]}\n",
    "merges of merges": "a0: &a0 {x: 1}\n"
    + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 50)}]}}\n" for i in range(1, 50)),
    "a huge range": f"{HEAD}sweep:\n  - seed: {{range: 1000000000}}\n",
    "a range of huge numbers": f"{HEAD}sweep:\n  - seed: {{range: [0, {10**30}, {10**29}]}}\n",
    "a trillion trials": HEAD
    + "sweep:\n  - seed: {range: 10000}\n    lag: {range: 10000}\n    hidden: {range: 10000}\n",
    "a range of fifty axes": HEAD + "sweep: [{" + ", ".join(f"a{i}: {{range: 100000}}" for i in range(50)) + "}]\n",
    "a trillion trials in many grids": HEAD + "sweep:\n" + "  - seed: {range: 100000}\n    hidden: {range: 2}\n" * 50,
    "a byte order mark inside": HEAD + "\ufeffsweep: []\n",
    "half a character": HEAD.encode() + b"question: \xc3\x28\n",
    "utf-16": HEAD.encode("utf-16"),
    "utf-32": HEAD.encode("utf-32"),
    "ten megabytes": "a: 1\n" * 2_000_000,
    "an escape sequence": "name: \x1b[31mred\n",
    "a control character after a line": "name: demo\nquestion: a\n\x07\n",
    "a search of everything": HEAD + "search: {space: {seed: [1]}, objective: skill, trials: 100000000}\n",
    "a grid without end": HEAD
    + "search: {space: {hidden: {int: [1, 8000]}, batch: {int: [1, 8000]}, lag: {int: [1, 8000]}}, "
    + "objective: skill, sampler: grid}\n",
    "a search that depends on itself": HEAD
    + "search: {space: {hidden: {choices: [1, 2], when: {hidden: 1}}}, objective: skill}\n",
    "a search of endless groups": HEAD
    + "search: {space: {hidden: [1, 2]}, objective: skill, groups: {batch: {range: 9000}, lag: {range: 90000}}}\n",
    "a search of many groups": HEAD
    + f"search: {{space: {{hidden: [1, 2], batch: {list(range(1, 5000))}}}, objective: skill, groups: batch}}\n",
    "a search in nan": HEAD
    + "search: {space: {optimizer.lr: {log: [.nan, .inf]}, clip: {float: [-.inf, 1]}}, objective: skill}\n",
    "a null byte by its escape": HEAD + 'question: "a\\0b"\n',
    "line separators in a key": 'name: demo\n"a\\nb\\u2028c": 1\n',
}


# Seconds each, and refused by a limit that a smaller case reaches too
LARGE = {
    *("many keys", "a long list", "merges", "many wrong trials", "a long quoted text", "empty lines", "a long block"),
    *("a range of fifty axes", "a trillion trials in many grids", "a search of endless groups"),
    *("a search of many groups", "a long word", "comments"),
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow) if case in LARGE else case for case in HOSTILE]
)
def test_hostile_text_is_refused_within_seconds(case: str, load: Load) -> None:
    started = time.process_time()
    assert survives(load, HOSTILE[case])
    assert time.process_time() - started < SECONDS
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["demo.yaml"]  # nothing was executed


def test_the_error_about_a_forbidden_character_has_its_position(load: Load) -> None:
    """Found by fuzzing: ruamel.yaml's reader reports an offset in the file but no line."""
    with pytest.raises(ConfigError, match=r"^demo\.yaml:2:5: not YAML: the character U\+0007 is not allowed$"):
        load("name: demo\nbas\u00e9\x07: 1\n")


def test_a_byte_order_mark_at_the_beginning_is_accepted(load: Load) -> None:
    assert load(b"\xef\xbb\xbf" + HEAD.encode()).name == "demo"


@pytest.mark.parametrize(
    "stem", ["a b", "a.b", "é", "x" * 65, "-", "CON", "..", "a\nb", "💥", "$(id)", "a;b", "x" * 200]
)
def test_a_name_that_is_not_one_word_is_refused(stem: str, tmp_path: Path) -> None:
    """It becomes a folder below results/ and the name of an experiment."""
    path = tmp_path / f"{stem}.yaml"
    path.write_text(f"name: {json.dumps(stem)}\nbase: {{task: recall, lag: 5, cell: elman}}\n")
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", stem):
        assert Experiment.load(path).results_folder.parent == tmp_path / "results"
        return
    with pytest.raises(ConfigError, match="must be 1 to 64 letters, digits, - and _"):
        Experiment.load(path)


@pytest.mark.parametrize(
    "name", ["../demo", "/etc/demo", "demo/..", "..", "", "a" * 500, "demo\n", "dëmo", 5, None, [1]]
)
def test_a_name_that_differs_from_the_file_name_is_refused(name: Any, load: Load) -> None:
    with pytest.raises(ConfigError, match=r"^demo\.yaml:1:7: name: must"):
        load(f"name: {json.dumps(name)}\nbase: {{task: recall, lag: 5, cell: elman}}\n")


@pytest.mark.parametrize(
    "setting", ["lag=/../../x", "lag=5 ", "task.symbols=2", "lag=5\0", "task={name: recall, filler: noise}"]
)
def test_overrides_cannot_lead_outside_results(setting: str, load: Load) -> None:
    try:
        experiment = load(HEAD, setting, "task.symbols=3")
    except ConfigError:
        return
    folder = experiment.results_folder
    assert folder.parent == experiment.root / "results"
    assert re.fullmatch(r"demo--[\w.=-]{1,100}", folder.name)


def test_a_few_seconds_of_fuzzing() -> None:
    counts, found = fuzz(1.5, 20261125, print)
    assert not found
    assert counts["refused"] + counts["loaded"] >= 1


@pytest.mark.slow
@pytest.mark.parametrize("cli", [False, True], ids=["loaded", "typed"])
def test_a_minute_of_fuzzing(cli: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    seed = random.SystemRandom().randrange(2**32)
    counts, found = fuzz(60.0, seed, print, cli)
    assert not found, seed
    assert counts.total() > 20
