"""`--set key=value`: a value of the base, the levels of the axes of that name, or a key of the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from farback.experiment.grids import PATH, placed
from farback.experiment.problems import ConfigError, Mark, Problem, shown
from farback.experiment.yaml_tree import Entry, Node, parse
from farback.trials.trial import Trial


def overridden(
    base: Entry, sweep: Entry | None, search: Entry | None, overrides: Sequence[str], problems: list[Problem]
) -> tuple[Entry, Entry | None, Entry | None]:
    """The base, the sweep and the search with each override in its place. What is wrong goes into `problems`.

    A key that is an axis of the sweep gets the value as its only level, or the list or `{range: n}` as its levels; any
    other is set in the base. An axis over a whole component (`task`) does not undo what is set in it (`task.symbols`).
    `search.trials` is a key of the search, `search.space.hidden` a dimension; a dimension's own path (`hidden`), or one
    in it, becomes its choices.
    """
    for text in overrides:
        key, equals, written = text.partition("=")
        key = key.strip()
        mark = Mark(f"--set {text}")
        if not equals or not PATH.fullmatch(key):
            problems.append(Problem(str(mark), "", "write key=value, such as lag=5 or optimizer.lr=1e-3"))
            continue
        try:
            value = replace(parse(written, str(mark), lines=False), origin=key)
        except ConfigError as error:
            problems += error.problems
            continue
        several = isinstance(value.value, tuple) or set(value.entries) in ({"range"}, {"bracket"})
        if search is not None and (key.startswith("search.") or _searched(search, key)):
            search = _in_search(search, key, Entry(mark, value), several)
            continue
        found = sweep is not None and any(key in _axes(grid) for grid in _grids(sweep))
        if sweep is not None:
            sweep = _in_sweep(sweep, key, Entry(mark, value), several)
        listed = key in Trial.model_fields and isinstance(Trial.model_fields[key].default, tuple)
        if several and not found and not (listed or (isinstance(value.value, tuple) and "." in key)):
            problems.append(
                Problem(str(mark), key, f"the sweep has no axis {shown(key)} to give levels to; give one value")
            )
        elif not (several and found):
            base = Entry(base.key, placed(base.node, key.split("."), mark, value, Trial.model_fields))
    return base, sweep, search


def _searched(search: Entry, key: str) -> bool:
    """Whether a path, or a component that holds it, is searched."""
    space = search.node.entries.get("space")
    paths = space.node.entries if space else {}
    return any(f"{key}.".startswith(f"{path}.") for path in paths)


def _in_search(search: Entry, key: str, entry: Entry, several: bool) -> Entry:
    """The search with one of its keys, or the choices of one dimension, replaced."""
    path = key.removeprefix("search.")
    if path == key:
        levels = entry.node if several else Node(entry.key, (entry.node,), entry.node.origin)
        path, entry = f"space.{key}", Entry(entry.key, levels)
    head, _, rest = path.partition(".")
    steps = [head, rest] if head in ("space", "groups") and rest else path.split(".")
    return Entry(search.key, placed(search.node, steps, entry.key, entry.node))


def _grids(sweep: Entry) -> list[Node]:
    return [node for node in sweep.node.value if node.entries] if isinstance(sweep.node.value, tuple) else []


def _axes(grid: Node) -> set[str]:
    """The paths that a grid varies, in `zip` too."""
    return {name for name in grid.entries if name != "zip"} | {name for node in _zips(grid) for name in node.entries}


def _zips(grid: Node) -> list[Node]:
    node = grid.entries["zip"].node if "zip" in grid.entries else None
    return [] if node is None else list(node.value) if isinstance(node.value, tuple) else [node]


def _in_sweep(sweep: Entry, key: str, entry: Entry, several: bool) -> Entry:
    """The sweep with the levels of one path replaced in every grid that has it, or a component that holds it."""
    if not isinstance(sweep.node.value, tuple):
        return sweep
    levels = entry if several else Entry(entry.key, Node(entry.key, (entry.node,), entry.node.origin))
    grids = []
    for grid in sweep.node.value:
        above = any(key.startswith(f"{name}.") for name in _axes(grid))
        changed = grid
        if key in _axes(grid) or (above and not several):
            changed = Node(grid.mark, _with_levels(grid, key, levels, several), grid.origin)
        grids.append(changed)
    return Entry(sweep.key, Node(sweep.node.mark, tuple(grids)))


def _with_levels(grid: Node, key: str, levels: Entry, several: bool) -> dict[str, Entry]:
    """A grid's entries: levels go where the path is; a single value leaves its `zip`, for it goes with every pair."""
    entries = dict(grid.entries)
    zips = [dict(node.entries) for node in _zips(grid)]
    holders = [node for node in zips if key in node]
    if not holders:
        entries[key] = levels
        return entries
    for node in holders:
        if several:
            node[key] = levels
        else:
            del node[key]
            entries[key] = levels
    mark = entries["zip"].key
    kept = tuple(Node(mark, node) for node in zips if node)
    entries["zip"] = Entry(mark, kept[0] if len(kept) == 1 else Node(mark, kept))
    if not kept:
        del entries["zip"]
    return entries
