"""`farback list` and `farback show`, over every plug-in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from farback import cells, encoders, inits, measures, optimizers, tasks
from farback.cells.base import Cell
from farback.cli import app, plugin_info
from farback.cli import list as listed
from farback.cli.app import ORDER
from farback.records.component import Component
from farback.records.record import UserError
from farback.tasks.base import Task

FAMILIES = {
    "tasks": tasks,
    "cells": cells,
    "inits": inits,
    "encoders": encoders,
    "optimizers": optimizers,
    "measures": measures,
}
EVERY = [(kind, name) for kind, family in FAMILIES.items() for name in family.names()]


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
    for entry in plugin_info.entries(kind):
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
    console = Console(width=80, force_terminal=True)
    with console.capture() as captured:
        console.print(listed.table(kind, plugin_info.entries(kind)))
    drawn = re.sub(r"\x1b\[[0-9;]*m", "", captured.get())
    assert max(map(len, drawn.splitlines())) <= 80
    assert all(re.search(rf"^ *{name} ", drawn, re.MULTILINE) for name in FAMILIES[kind].names())


@pytest.mark.parametrize("kind", FAMILIES)
def test_json_holds_what_the_records_hold(kind: str, typed: Callable[..., str]) -> None:
    found = {entry["name"]: entry for entry in json.loads(typed("list", kind, "--json"))}
    assert list(found) == FAMILIES[kind].names()
    for name, entry in found.items():
        fields = set(type(FAMILIES[kind].build(name)).model_fields) - {"name"} - ({"lag"} if kind == "tasks" else set())
        assert {parameter["name"] for parameter in entry["parameters"]} == fields
        assert entry["text"].startswith(entry["line"].split()[0])


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_plug_in_has_a_sentence_and_a_source(kind: str, name: str) -> None:
    entry = plugin_info.entry(FAMILIES[kind].FAMILY.plugin(name))
    assert entry.line.endswith((".", "?"))
    assert len(entry.line) < 160
    assert entry.source or (kind, name) == ("encoders", "identity")
    assert not any(parameter.allowed == "anything" for parameter in entry.parameters)


def test_fields_are_shown_as_a_config_writes_them() -> None:
    def shown(family: type[Component]) -> dict[str, tuple[str, str]]:
        return {one.name: (one.default, one.allowed) for one in plugin_info.entry(family).parameters}

    recall = shown(tasks.FAMILY.plugin("recall"))
    assert recall["symbols"] == ("4", "an integer from 2 to 1024")
    assert recall["filler"] == ("noise", "noise, counted, blank, same")
    assert recall["length"] == ("null", "an integer from 1 to 100001, or null")
    assert shown(inits.FAMILY.plugin("orthogonal"))["gain"] == ("1", "a number above 0 up to 10")
    assert shown(cells.FAMILY.plugin("leaky_integrator"))["decay"] == ("0.9", "a number from 0 on below 1")
    assert shown(measures.FAMILY.plugin("retention"))["at"][0] == "[end]"


# Tables of a page ------------------------------------------------------------------------------------------------

PAGE = "# A\n\n<!-- cells: begin (a test keeps it in step) -->\nold\n<!-- cells: end -->\n\nafter <!-- cells: x -->\n"


def test_a_page_gets_its_table_between_the_markers_and_nowhere_else() -> None:
    found = plugin_info.entries("cells")
    page = listed.replaced(PAGE, "cells", found, "README.md")
    before, _, rest = page.partition("-->\n")
    inner, _, after = rest.partition("<!-- cells: end -->")
    assert before == "# A\n\n<!-- cells: begin (a test keeps it in step) "
    assert inner.strip() == listed.markdown("cells", found)
    assert after == "\n\nafter <!-- cells: x -->\n"
    assert listed.replaced(page, "cells", found, "README.md") == page


@pytest.mark.parametrize("page", ["nothing", PAGE + PAGE, PAGE.replace("cells: end", "cells: ende")])
def test_a_page_without_one_pair_of_markers_is_left_alone(page: str) -> None:
    with pytest.raises(UserError, match=r"README\.md: needs one pair"):
        listed.replaced(page, "cells", plugin_info.entries("cells"), "README.md")


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_markdown_table_has_a_row_for_every_plug_in(kind: str, typed: Callable[..., str]) -> None:
    lines = typed("list", kind, "--markdown").strip().splitlines()
    assert [line.split("`")[1] for line in lines[2:]] == FAMILIES[kind].names()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}


def test_a_bar_in_a_docstring_stays_in_its_cell() -> None:
    entry = plugin_info.Entry("a", "One | two.", (), "", "")
    assert listed.markdown("cells", [entry]).splitlines()[2] == "| `a` | One \\| two. |  |  |"


# show ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_show_prints_the_whole_docstring_and_every_field(kind: str, name: str, typed: Callable[..., str]) -> None:
    output = typed("show", plugin_info.KINDS[kind], name)
    entry = plugin_info.entry(FAMILIES[kind].FAMILY.plugin(name))
    assert entry.text in output
    for parameter in entry.parameters:
        line = rf"^  {parameter.name} +{re.escape(parameter.default)} \({re.escape(parameter.allowed)}\)$"
        assert re.search(line, output, re.MULTILINE)
    assert typed("show", kind, name) == output  # tasks, task: one word is as good as the other


def test_show_of_a_cell_gives_shapes_and_counts_at_the_size_asked_for(
    every_cell: Cell, typed: Callable[..., str]
) -> None:
    fields = [f"--set={name}={value}" for name, value in every_cell.spec().items() if name != "name"]
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


def test_show_of_a_task_gives_chance_and_ladder_at_a_lag(every_task: Task, typed: Callable[..., str]) -> None:
    lag = every_task.least + 9
    fields = [f"--set={name}={json.dumps(v)}" for name, v in every_task.spec().items() if name not in ("name", "lag")]
    output = typed("show", "task", every_task.name, "--lag", str(lag), *fields)
    task = every_task.at(lag)
    assert f"accuracy {task.chance().accuracy:.6g}, loss {task.chance().loss:.6g}" in output
    steps = task.sample(np.random.default_rng(5), 2).input_BTI.shape[1]
    assert re.search(rf"^at lag {lag} +{steps} steps", output, re.MULTILINE)
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
    assert {"run", "report", "ui", "list", "show", "schema"} <= set(names)
    known = [name for name in names if name in ORDER]
    assert known == sorted(known, key=ORDER.index)
    assert names[: len(known)] == known
