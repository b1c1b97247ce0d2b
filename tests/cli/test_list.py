"""`farback list` and `farback show`, over every plug-in."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from farback import cells, encoders, inits, measures, optimizers, schedules, tasks
from farback.cells.base import Cell
from farback.cli import app, plugin_info
from farback.cli import list as listed
from farback.records.component import Component
from farback.records.user_error import UserError
from farback.tasks.base import Task
from named_alone import named_alone
from some import one_in, some

FAMILIES = {
    "tasks": tasks,
    "cells": cells,
    "inits": inits,
    "encoders": encoders,
    "optimizers": optimizers,
    "schedules": schedules,
    "measures": measures,
}
EVERY = [(kind, name) for kind, family in FAMILIES.items() for name in named_alone(family)]


@pytest.fixture
def typed() -> Callable[..., str]:
    """What a command prints."""

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, result.output
        return result.output

    return run


# list ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_plug_in_is_listed_with_its_line_and_every_field(kind: str, typed: Callable[..., str]) -> None:
    output = typed("list", kind)
    starts = [line.split()[0] for line in output.splitlines() if not line.startswith(" ")]
    assert starts == FAMILIES[kind].names()
    for entry in plugin_info.components(kind):
        own = " ".join(re.split(rf"^{entry.name} ", output, flags=re.MULTILINE)[1].split())
        assert own.startswith(entry.line)
        for parameter in entry.parameters:
            assert f" {parameter.name} = {parameter.default} ({parameter.allowed})" in own
        assert f"Source: {entry.source}" in own or not entry.source


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_list_fits_into_80_columns_and_is_plain_when_piped(kind: str, typed: Callable[..., str]) -> None:
    output = typed("list", kind)
    assert max(map(len, output.splitlines())) <= 80
    assert not re.search("[\x1b─━│┃]", output)


def test_a_terminal_narrower_than_the_names_is_no_error() -> None:
    found = plugin_info.components("cells")
    words = " ".join(listed.text(found, 5).split())
    assert all(one.name in words for one in found)


@pytest.mark.parametrize("kind", FAMILIES)
def test_json_holds_what_the_records_hold(kind: str, typed: Callable[..., str]) -> None:
    found = {entry["name"]: entry for entry in json.loads(typed("list", kind, "--json"))}
    assert list(found) == FAMILIES[kind].names()
    for name, entry in found.items():
        fields = (
            set(FAMILIES[kind].FAMILY.plugin(name).model_fields) - {"name"} - ({"lag"} if kind == "tasks" else set())
        )
        assert {parameter["name"] for parameter in entry["parameters"]} == fields
        assert entry["text"].startswith(entry["line"].split()[0])


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_plug_in_has_a_sentence_and_a_source(kind: str, name: str) -> None:
    entry = plugin_info.component_info(FAMILIES[kind].FAMILY.plugin(name))
    assert entry.line.endswith((".", "?"))
    assert len(entry.line) < 160
    assert entry.source or (kind, name) in (("encoders", "identity"), ("cells", "module"))
    assert not any(parameter.allowed == "anything" for parameter in entry.parameters)


def test_fields_are_shown_as_a_config_writes_them() -> None:
    def shown(family: type[Component]) -> dict[str, tuple[str, str]]:
        return {one.name: (one.default, one.allowed) for one in plugin_info.component_info(family).parameters}

    recall = shown(tasks.FAMILY.plugin("recall"))
    assert recall["symbols"] == ("4", "an integer from 2 to 1024")
    assert recall["filler"] == ("noise", "noise, counted, blank, same")
    assert recall["length"] == ("null", "an integer from 1 on, or null")
    assert shown(inits.FAMILY.plugin("orthogonal"))["gain"] == ("1", "a number above 0 up to 10")
    assert shown(cells.FAMILY.plugin("leaky_integrator"))["decay"] == ("0.9", "a number from 0 on below 1")
    assert shown(measures.FAMILY.plugin("retention"))["at"][0] == "[end]"


# Tables of a page ------------------------------------------------------------------------------------------------

PAGE = "# A\n\n<!-- cells: begin (a test keeps it in step) -->\nold\n<!-- cells: end -->\n\nafter <!-- cells: x -->\n"


def test_a_page_gets_its_table_between_the_markers_and_nowhere_else() -> None:
    found = plugin_info.components("cells")
    page = listed.between(PAGE, "cells", listed.markdown("cells", found), "README.md")
    before, _, rest = page.partition("-->\n")
    inner, _, after = rest.partition("<!-- cells: end -->")
    assert before == "# A\n\n<!-- cells: begin (a test keeps it in step) "
    assert inner.strip() == listed.markdown("cells", found)
    assert after == "\n\nafter <!-- cells: x -->\n"
    assert listed.between(page, "cells", listed.markdown("cells", found), "README.md") == page


@pytest.mark.parametrize("page", ["nothing", PAGE + PAGE, PAGE.replace("cells: end", "cells: ende")])
def test_a_page_without_one_pair_of_markers_is_left_alone(page: str) -> None:
    with pytest.raises(UserError, match=r"README\.md: must contain the lines"):
        listed.between(page, "cells", "new", "README.md")


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_markdown_table_has_a_row_for_every_plug_in(kind: str, typed: Callable[..., str]) -> None:
    lines = typed("list", kind, "--markdown").strip().splitlines()
    assert [line.split("`")[1] for line in lines[2:]] == FAMILIES[kind].names()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}


def test_a_bar_in_a_docstring_stays_in_its_cell() -> None:
    entry = plugin_info.ComponentInfo("a", "One | two.")
    assert listed.markdown("cells", [entry]).splitlines()[2] == "| `a` | One \\| two. |  |  |"


# show ------------------------------------------------------------------------------------------------------------


def check_page(output: str, kind: str, name: str) -> None:
    """The page has the whole docstring and every field."""
    info = plugin_info.component_info(FAMILIES[kind].FAMILY.plugin(name))
    assert info.text in output
    for field in info.parameters:
        line = rf"^  {field.name} +{re.escape(field.default)} \({re.escape(field.allowed)}\)$"
        assert re.search(line, output, re.MULTILINE)


@pytest.mark.parametrize(("kind", "name"), some((pair for pair in EVERY if pair[0] != "tasks"), one_in(4)))
def test_show_prints_the_whole_docstring_and_every_field(kind: str, name: str, typed: Callable[..., str]) -> None:
    check_page(typed("show", plugin_info.KINDS[kind], name), kind, name)


def test_a_kind_may_be_singular_or_plural(typed: Callable[..., str]) -> None:
    assert typed("show", "cells", "gru") == typed("show", "cell", "gru")


def test_show_of_a_cell_gives_shapes_and_counts_at_the_size_asked_for(
    every_cell: Cell, typed: Callable[..., str]
) -> None:
    values = {name: "null" if value is None else value for name, value in every_cell.spec().items() if name != "name"}
    fields = [f"--set={name}={value}" for name, value in values.items()]
    output = typed("show", "cell", every_cell.name, "--hidden", "6", "--inputs", "2", *fields)
    total = 0
    for name, shape in every_cell.parameters(2, 6).items():
        frozen = name in every_cell.frozen
        text = re.escape(" x ".join(map(str, shape)) + " (drawn, never trained)" * frozen)
        assert re.search(rf"^  {name} +{text}$", output, re.MULTILINE)
        total += int(np.prod(shape)) * (not frozen)
    assert re.search(rf"^  trained parameters +{total}$", output, re.MULTILINE)
    assert (f"fused kernel {str(every_cell.kernel)!r}" in output) == (every_cell.kernel is not None)
    for role, gate in (("keeps", every_cell.keep), ("writes", every_cell.write)):
        assert gate is None or re.search(rf"^gate that {role} +{gate}$", output, re.MULTILINE)


HEAVY = ("digits", "mackey_glass", "narma")  # their chance levels take seconds


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in HEAVY else name for name in named_alone(tasks)]
)
def test_show_of_a_task_gives_chance_and_ladder_at_a_lag(name: str, typed: Callable[..., str]) -> None:
    task: Task = tasks.build({"name": name})
    task = task.at(task.least + 9)
    output = typed("show", "task", name, "--lag", str(task.lag))
    check_page(output, "tasks", name)
    chance = task.chance()
    assert f"accuracy {chance.accuracy:.6g}, loss {chance.loss:.6g}" in output
    steps = task.sample(np.random.default_rng(5), 2).input_BTI.shape[1]
    assert re.search(rf"^at lag {task.lag} +{steps} steps", output, re.MULTILINE)
    for rung in task.ladder():
        assert re.search(rf"^  {re.escape(rung.remembered)} +accuracy {rung.accuracy:.4g},", output, re.MULTILINE)


def test_show_of_an_init_names_the_cells_that_it_goes_with(typed: Callable[..., str]) -> None:
    output = typed("show", "init", "chrono")
    (fits,) = re.findall(r"^goes with +(.*)$", output, re.MULTILINE)
    (refuses,) = re.findall(r"^not with +(.*)$", output, re.MULTILINE)
    assert {"lstm", "gru"} <= set(fits.split(", "))
    assert {"elman", "memoryless"} <= set(refuses.split(", "))  # no gate whose bias it could set
    assert sorted([*fits.split(", "), *refuses.split(", ")]) == cells.names()


# Order -----------------------------------------------------------------------------------------------------------


def test_commands_stand_in_the_order_of_use(typed: Callable[..., str]) -> None:
    names = re.findall(r"^│ ([a-z-]+) ", typed("--help").partition("Commands")[2], re.MULTILINE)
    assert names[:6] == ["init", "run", "report", "ui", "search", "dashboard"]
    assert names[6:] == ["calibrate", "backtest", "claims", "list", "show", "new", "check", "schema", "doctor"]


def test_a_schema_that_git_tracks_is_not_changed_by_a_run(tmp_path: Path) -> None:
    path, config = tmp_path / "configs" / "schema.json", tmp_path / "configs" / "mine.yaml"
    path.parent.mkdir()
    path.write_text("{}")
    listed.refresh_schema(config)
    assert "$defs" in json.loads(path.read_text())
    path.write_text("{}")
    for arguments in (["init"], ["add", "configs"]):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)
    listed.refresh_schema(config)
    assert path.read_text() == "{}"
