"""The default setting of a search as a point of its space."""

from pathlib import Path

import pytest

from farback.experiment import Experiment
from farback.runs.search.api import checked_search
from farback.runs.search.winners import default_point

CONFIG = """
name: small
base:
  task: {{name: recall, filler: noise}}
  lag: 5
  hidden: 32
  optimizer: {{name: adam, lr: 3.0e-3}}
search:
  groups:
    cell: [{{name: elman}}, gru]
  space:
    {space}
  objective: skill
"""


def points(tmp_path: Path, space: str) -> list[dict[str, object] | None]:
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG.format(space=space))
    search = checked_search(Experiment.load(path))
    return [default_point(search, group) for group in search.groups]


def test_it_is_what_the_base_says_and_farback_where_the_base_says_nothing(tmp_path: Path) -> None:
    found = points(tmp_path, "{optimizer.lr: {log: [1e-4, 1e-1]}, hidden: [16, 32], init: [torch, orthogonal]}")
    assert found == [{"optimizer.lr": 3e-3, "hidden": 32, "init": "torch"}] * 2


def test_a_dimension_is_there_where_its_conditions_hold(tmp_path: Path) -> None:
    space = "{init: {choices: [torch, orthogonal], when: {cell.name: elman}}, hidden: {int: [8, 64]}}"
    assert points(tmp_path, space) == [{"init": "torch", "hidden": 32}, {"hidden": 32}]


@pytest.mark.parametrize(
    "space",
    [
        "{optimizer.lr: {log: [1e-2, 1e-1]}}",
        "{hidden: [16, 64]}",
        "{hidden: {int: [8, 40], step: 16}}",
        "{init: [orthogonal, xavier]}",
    ],
)
def test_a_default_outside_of_the_space_is_none(tmp_path: Path, space: str) -> None:
    assert points(tmp_path, space) == [None, None]


def test_a_default_on_a_step_is_in_the_space(tmp_path: Path) -> None:
    assert points(tmp_path, "{hidden: {int: [8, 40], step: 8}}") == [{"hidden": 32}] * 2


def test_where_there_is_no_choice_it_is_the_default(tmp_path: Path) -> None:
    assert points(tmp_path, "{hidden: [16], init: [torch, orthogonal]}") == [{"hidden": 16, "init": "torch"}] * 2


def test_the_point_is_the_trial_that_the_base_describes(tmp_path: Path) -> None:
    """Walking the space along it changes nothing."""
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG.format(space="{optimizer.lr: {log: [1e-4, 1e-1]}, init: [torch, orthogonal]}"))
    search = checked_search(Experiment.load(path))
    path.write_text(CONFIG.format(space="{clip: [1.0, 2.0]}"))
    plain = checked_search(Experiment.load(path))
    for group, other in zip(search.groups, plain.groups, strict=True):
        point, base = default_point(search, group), default_point(plain, other)
        assert point is not None
        assert base is not None
        assert search.trial(group, point, 3).key == plain.trial(other, base, 3).key
