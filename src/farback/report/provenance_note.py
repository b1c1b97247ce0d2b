"""Whether the trials behind a page were made alike: by the same versions on the same kind of processor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from farback.report.analysis import markdown

UNKNOWN = "not recorded"


def origins(made: Iterable[Mapping[str, str]], now: Mapping[str, str]) -> str:
    """What a page says of it, in markdown; nothing where all trials agree with each other and with the present.

    Args:
        made: for each trial what decides its bits, by name. A name that a trial lacks, because an earlier release did
            not record it, is not held against it.
        now: the versions that are installed. The processor that a page is written on changes nothing in it.
    """
    found = sets(made, now)
    if not found:
        return ""
    several = len(found) > 1
    whose = (
        "more than one set of versions or processor features" if several else "other versions than are installed now"
    )
    rows = [{"trials": str(count), **said} for said, count in found]
    differing = list(found[0][0])
    if any(name in now for name in differing):
        rows.append({"trials": "installed now", **{name: now.get(name, "") for name in differing}})
    sentence = f"**Made by {whose}.** Trials come out bit for bit the same only where all of this is the same."
    return f"{sentence}\n\n{markdown(pd.DataFrame(rows))}"


def made_with(made: Iterable[Mapping[str, str]], names: Sequence[str]) -> dict[str, str]:
    """What made the trials of a page, by name: one value, or all that there are, the most frequent first.

    Args:
        made: for each trial what its result says of it.
        names: which of it to say; what no trial recorded is left out.
    """
    trials = list(made)
    counts = {name: Counter(each[name] for each in trials if name in each) for name in names}
    ordered = {name: sorted(count.items(), key=lambda one: (-one[1], one[0])) for name, count in counts.items()}
    return {name: "; ".join(value for value, _ in values) for name, values in ordered.items() if values}


def sets(made: Iterable[Mapping[str, str]], now: Mapping[str, str]) -> list[tuple[dict[str, str], int]]:
    """What differs, with the number of trials that were made so, the most first; arguments as of `origins`."""
    trials = [dict(each) for each in made]
    names = list(dict.fromkeys(name for each in trials for name in each))
    values = {name: {each[name] for each in trials if name in each} for name in names}
    differing = [name for name in names if len(values[name] | ({now[name]} if name in now else set())) > 1]
    if not differing:
        return []
    counts = Counter(tuple(each.get(name, UNKNOWN) for name in differing) for each in trials)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(dict(zip(differing, said, strict=True)), count) for said, count in ordered]
