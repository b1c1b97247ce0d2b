"""The conditions of an experiment as a phrase for headlines: task, size, optimizer, rates tried, budget, seeds."""

from __future__ import annotations

from typing import Any

import pandas as pd

from farback.records.counted_nouns import counted
from farback.report.group_columns import SIZES
from farback.tables.outcomes import judged

NAMES = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "rmsprop": "RMSprop"}
RATE = "optimizer.lr"


def conditions(scores: pd.DataFrame) -> str:
    """For example "recall, 32 units, Adam at a rate chosen among 0.001, 0.01 and 0.03, up to 1000 updates of 32, 18
    to 30 seeds".

    The initialisation is part of each network's label. Seeds are counted for each network, without those that helped to
    choose a setting.
    """
    trials = scores.drop_duplicates("key")
    parts = [" and ".join(sorted(set(_data(trials))))] if "task" in trials else []
    if "match" in trials and trials["match"].notna().all():
        limits = [text.split() for text in sorted(set(trials["match"]))]
        parts.append(" or ".join(f"up to {limit} {SIZES.get(what, what)}" for what, limit in limits))
    elif "hidden" in trials:
        parts.append(counted(values_text(trials["hidden"]), "unit"))
    if RATE in trials:
        optimizers = " or ".join(NAMES.get(name, name) for name in sorted(set(trials["optimizer.name"])))
        parts.append(f"{optimizers} at {_rates(trials)}")
        parts += schedules(trials)
    parts += [f"{name} chosen among {len(own)} settings" for name, own in tuned_values(trials).items() if name != RATE]
    if {"steps", "batch"} <= set(trials.columns):
        stops = "stop" not in trials or (trials["stop"] != "never").any()
        budget = f"{counted(values_text(trials['steps']), 'update')} of {values_text(trials['batch'])}"
        parts.append(f"up to {budget}" if stops else budget)
    counts = values_text(judged(trials).groupby("label")["seed"].nunique())
    parts.append("one seed" if counts == "1" else f"{counts} seeds")
    return ", ".join(parts)


def schedules(trials: pd.DataFrame) -> list[str]:
    """For example ["cosine schedule", "100 updates of warm-up"]; empty if every learning rate is constant."""
    if "schedule.name" not in trials:
        return []
    names, warmup = sorted(set(trials["schedule.name"])), trials["schedule.warmup"]
    parts = [f"{' or '.join(names)} schedule"] if names != ["constant"] else []
    return parts + ([f"{counted(values_text(warmup), 'update')} of warm-up"] if warmup.any() else [])


def _data(trials: pd.DataFrame) -> pd.Series[str]:
    """The task of each trial, or the name of the file that it takes its sequences from."""
    if "task.file" not in trials:
        return trials["task"]
    return trials["task.file"].str.rsplit("/", n=1).str[-1].fillna(trials["task"])


def tuned_values(scores: pd.DataFrame) -> dict[str, list[str]]:
    """The settings that were tuned, by name ("optimizer.lr"), with the values tried; empty without tuning."""
    found: dict[str, list[str]] = {}
    texts: list[Any] = list(scores["tuned"].dropna().unique()) if "tuned" in scores else []
    for text in texts:
        for part in str(text).split(", "):
            name, _, value = part.rpartition(" ")
            if name and value not in found.setdefault(name, []):
                found[name].append(value)
    return found


def values_text(values: pd.Series[Any]) -> str:
    """The distinct numbers of a column as text: "8, 16 or 32", or "1 to 9" if there are more than three."""
    distinct = sorted(set(values.dropna().astype(float)))
    texts = [f"{value:.10g}" for value in distinct]
    if len(texts) > 3:
        return f"{texts[0]} to {texts[-1]}"
    return " or ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))


def _rates(trials: pd.DataFrame) -> str:
    tried = sorted({float(value) for value in tuned_values(trials).get(RATE, [])})
    if len(tried) > 1:
        texts = [f"{rate:.10g}" for rate in tried]
        return f"a rate chosen among {', '.join(texts[:-1])} and {texts[-1]}"
    return values_text(trials[RATE])
