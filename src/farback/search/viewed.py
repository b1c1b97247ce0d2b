"""What a tracker's views of a search show."""

from __future__ import annotations

from collections.abc import Sequence

from farback.experiment import Search
from farback.stores.views import Study
from farback.trial import Trial


def viewed(search: Search, settings: Sequence[str] = ()) -> Study:
    """The searched parameters, objectives and groups by the names that runs have.

    Args:
        search: the search.
        settings: those that are trained on fresh seeds, as their runs name them.
    """
    tree, _ = search.walk(search.groups[0], lambda one: one.levels[0])
    flat = Trial.model_validate({**tree.plain, "seed": 0}).parameters()
    paths = dict.fromkeys(one.path if one.path in flat else f"{one.path}.name" for one in search.space)
    goals = zip(search.objectives, search.directions, strict=True)
    objectives = tuple((goal.name, direction == "maximize") for goal, direction in goals)
    return Study(tuple(paths), objectives, tuple(group.label for group in search.groups), tuple(settings))
