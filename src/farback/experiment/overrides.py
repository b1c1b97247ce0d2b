"""Applies `--set key=value` to the base, the sweep or the search of a config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from farback.experiment.grids import PATH, placed
from farback.experiment.problems import ConfigError, Mark, Problems, shown
from farback.experiment.yaml_tree import KeyValue, Node, parse
from farback.trials.trial import Trial


def overridden(
    base: KeyValue, sweep: KeyValue | None, search: KeyValue | None, overrides: Sequence[str], problems: Problems
) -> tuple[KeyValue, KeyValue | None, KeyValue | None]:
    """The base, the sweep and the search after all overrides. Problems are added to `problems`.

    If the key is an axis of the sweep, the value becomes its only level, and a list or `{range: n}` becomes its levels.
    Otherwise the value is set in the base. A field (`task.symbols`) stays overridden even if the sweep has an axis over
    the whole component (`task`).

    In a search, `search.trials` sets a key of the search and `search.space.hidden` sets a dimension. The path of a
    dimension (`hidden`), or a path below one, sets its choices.
    """
    for text in overrides:
        key, equals, written = text.partition("=")
        key = key.strip().removeprefix("base.")
        mark = Mark(f"--set {text}")
        if not equals or not PATH.fullmatch(key):
            problems.add(mark, "", "write key=value, such as lag=5 or optimizer.lr=1e-3")
            continue
        try:
            value = replace(parse(written, str(mark), lines=False), origin=key)
        except ConfigError as error:
            problems += error.problems
            continue
        is_list = isinstance(value.value, tuple)
        has_levels = is_list or set(value.entries) == {"range"} or "adaptive" in value.entries
        levels = value if has_levels else Node(mark, (value,), key)
        if search is not None and (key.startswith("search.") or _is_searched(search, key)):
            search = _search_with(search, key, mark, value, levels)
            continue
        grids = sweep.node.value if sweep and isinstance(sweep.node.value, tuple) else ()
        is_axis = any(key in _paths(grid) for grid in grids)
        if sweep and grids:
            changed = tuple(_grid_with(grid, key, KeyValue(mark, levels), has_levels) for grid in grids)
            sweep = KeyValue(sweep.key, replace(sweep.node, value=changed))
        takes_list = key in Trial.model_fields and isinstance(Trial.model_fields[key].default, tuple)
        if has_levels and not is_axis and not (takes_list or (is_list and "." in key)):
            problems.add(mark, key, f"the sweep has no axis {shown(key)}, so give one value, not several")
        elif not (has_levels and is_axis):
            base = KeyValue(base.key, placed(base.node, key.split("."), mark, value, Trial.model_fields))
    return base, sweep, search


def _is_searched(search: KeyValue, key: str) -> bool:
    """Whether a path, or a component that contains it, is a dimension of the search."""
    space = search.node.child("space")
    return any(f"{key}.".startswith(f"{path}.") for path in (space.entries if space else ()))


def _search_with(search: KeyValue, key: str, mark: Mark, value: Node, levels: Node) -> KeyValue:
    """The search with one key changed to `value`, or one dimension changed to the choices `levels`."""
    path = key.removeprefix("search.")
    if path == key:
        path, value = f"space.{key}", levels
    head, _, rest = path.partition(".")
    steps = [head, rest] if head in ("space", "groups") and rest else path.split(".")
    return KeyValue(search.key, placed(search.node, steps, mark, value))


def _zips(grid: Node) -> list[Node]:
    node = grid.child("zip")
    return [] if node is None else list(node.value) if isinstance(node.value, tuple) else [node]


def _paths(grid: Node) -> set[str]:
    """The paths that a grid varies, also below `zip` and `tune`."""
    tune = grid.child("tune")
    return {name for node in (grid, *_zips(grid), *([tune] if tune else [])) for name in node.entries} - {"zip", "tune"}


def _grid_with(grid: Node, key: str, levels: KeyValue, has_levels: bool) -> Node:
    """The grid with the levels of one path changed, if it varies that path or a component that contains it.

    A path in a `zip` that gets a single value becomes an axis of its own, so that the value goes with every pair; a
    path in `tune` is no longer tuned then.
    """
    paths = _paths(grid)
    if key not in paths and (has_levels or not any(key.startswith(f"{path}.") for path in paths)):
        return grid
    entries = dict(grid.entries)
    tune = grid.child("tune")
    if tune and key in tune.entries:
        rest = {path: entry for path, entry in tune.entries.items() if path != key}
        if has_levels:
            rest[key] = levels
        else:
            entries[key] = levels
        entries["tune"] = KeyValue(entries["tune"].key, replace(tune, value=rest))
        if not rest:
            del entries["tune"]
        return Node(grid.mark, entries, grid.origin)
    zips = [dict(node.entries) for node in _zips(grid)]
    in_zip = [node for node in zips if key in node]
    for node in in_zip if has_levels else ():
        node[key] = levels
    if not (in_zip and has_levels):
        entries[key] = levels
        for node in in_zip:
            del node[key]
    if in_zip:
        mark = entries["zip"].key
        kept = tuple(Node(mark, node) for node in zips if node)
        entries["zip"] = KeyValue(mark, kept[0] if len(kept) == 1 else Node(mark, kept))
        if not kept:
            del entries["zip"]
    return Node(grid.mark, entries, grid.origin)
