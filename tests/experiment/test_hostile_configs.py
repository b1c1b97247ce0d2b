"""Whatever the file holds, it loads or gives a ConfigError of single lines, soon."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from farback.experiment import ConfigError, Experiment, Problem
from farback.trial import Trial

Load = Callable[..., Experiment]
quietly = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)

HEAD = "name: demo\nbase: {task: recall, lag: 5, cell: elman}\n"
SECONDS = 20  # each takes 3 at most on a quiet core


def survives(load: Load, text: str | bytes, *overrides: str) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        load(text, *overrides)
    except ConfigError as error:
        problems = error.problems or (Problem("", "", ""),)
    for line in map(str, problems):
        assert line.splitlines() == [line]
        assert len(line) < 2000


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
trees: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(fields | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def written(tree: Any) -> str:
    out = StringIO()
    YAML(typ="safe", pure=True).dump(tree, out)
    return out.getvalue()


@settings(quietly, max_examples=50)
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
    "brackets": "[" * 200_000,
    "braces": "{a: " * 50_000,
    "dashes": "- " * 100_000,
    "questions": "? " * 100_000,
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
    "line separators in a key": 'name: demo\n"a\\nb\\u2028c": 1\n',
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_text_is_refused_soon(case: str, load: Load) -> None:
    started = time.monotonic()
    survives(load, HOSTILE[case])
    assert time.monotonic() - started < SECONDS
