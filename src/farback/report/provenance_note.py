"""Notes on the versions and hardware with which the trials of a page were made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from farback.report.analysis import markdown

UNKNOWN = "not recorded"


def origins(made: Iterable[Mapping[str, str]], now: Mapping[str, str]) -> str:
    """A warning in Markdown if trials were made with different versions, or with other versions than are installed.

    Args:
        made: for each trial the versions and processor features that its exact numbers depend on, by name. Names that a
            trial did not record, because an earlier release made it, are ignored for that trial.
        now: the installed versions. The processor of this machine does not matter.
    """
    sets = distinct_sets(made, now)
    if not sets:
        return ""
    several = "more than one set of versions or processor features"
    difference = several if len(sets) > 1 else "other versions than are installed now"
    rows = [{"trials": str(count), **values} for values, count in sets]
    names = list(sets[0][0])
    if any(name in now for name in names):
        rows.append({"trials": "installed now", **{name: now.get(name, "") for name in names}})
    warning = f"**Made by {difference}.** Trials are equal bit for bit only where all of these are equal."
    return f"{warning}\n\n{markdown(pd.DataFrame(rows))}"


def made_with(made: Iterable[Mapping[str, str]], names: Sequence[str]) -> dict[str, str]:
    """The versions and hardware of a page's trials, by name; several values are listed, the most frequent first.

    Names that no trial recorded are left out.
    """
    trials = list(made)
    counts = {name: Counter(each[name] for each in trials if name in each) for name in names}
    ordered = {name: sorted(count.items(), key=lambda item: (-item[1], item[0])) for name, count in counts.items()}
    return {name: "; ".join(value for value, _ in values) for name, values in ordered.items() if values}


def distinct_sets(made: Iterable[Mapping[str, str]], now: Mapping[str, str]) -> list[tuple[dict[str, str], int]]:
    """The versions that are not equal in all trials and `now`: each set with its number of trials, largest first."""
    trials = [dict(each) for each in made]
    names = list(dict.fromkeys(name for each in trials for name in each))
    values = {name: {each[name] for each in trials if name in each} for name in names}
    differing = [name for name in names if len(values[name] | ({now[name]} if name in now else set())) > 1]
    if not differing:
        return []
    counts = Counter(tuple(each.get(name, UNKNOWN) for name in differing) for each in trials)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(dict(zip(differing, values, strict=True)), count) for values, count in ordered]
