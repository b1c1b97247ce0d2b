"""Writes the page of a search, from the store of its networks and Optuna's studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import optuna
import pandas as pd

from farback.experiment import Search
from farback.report import ReportedObjective, Searched
from farback.report.page import Page, Subject, write_search
from farback.runs.search import recorded_values
from farback.runs.search.importances import importances
from farback.runs.search.objectives import value
from farback.runs.search.optuna_history import history
from farback.runs.search.study import existing
from farback.runs.search.winners import VALUES, Winner, defaults, equal_budgets, winner_configs, winners
from farback.runs.sweep_page import chance_text, data_text, summarise, task_ladder, trial_provenance
from farback.stores.base import Store
from farback.stores.studies import exists, located, opened
from farback.trials.trial import Trial

ADAPTIVE = ("tpe", "gp", "cmaes", "nsga2")  # samplers that use the values of earlier trials


def publish(search: Search, store: Store, storage: str | None = None) -> Page:
    """Write the folder of a search in `results/` and its summary in the store, training nothing.

    `storage` is the URI of its studies; default: the SQLite file in `results/store`.

    Raises:
        UserError: no network was trained on fresh seeds yet, or the record of a study does not fit its networks.
    """
    past, frame = history(search, storage), store.frame(search.name)
    recorded_values.check(search, past, frame)
    tuned = winners(search, past)
    uri = located(storage, search.root)
    studies = existing(search, opened(uri)) if exists(uri) else {}
    reported = [*tuned, *defaults(search, past)]
    results = searched(search, past, reported, frame, studies)
    origins, made_with = trial_provenance(search.name, store, results.keys)
    subject = Subject(
        name=search.name,
        question=search.question,
        config=search.arguments,
        folder=search.results_folder,
        keys=(),
        ladder=results.ladder,
        root=search.root,
        chance=chance_text(trial for one in reported for trial in one.trials),
        data=data_text(trial for one in reported for trial in one.trials),
        config_text=search.text,
        origins=origins,
        made_with=made_with,
    )
    page = write_search(subject, results, winner_configs(search, tuned))
    summarise(search, store, page)
    return page


def searched(
    search: Search,
    past: pd.DataFrame,
    reported: Sequence[Winner],
    frame: pd.DataFrame,
    studies: Mapping[str, optuna.Study],
) -> Searched:
    """The results of a search, as the report needs them; `reported` are the winners and the default settings."""
    by_key = {str(key): own for key, own in frame.groupby("key", sort=False)}
    order = _group_order(search)
    fresh, scores = [], []
    for one in sorted(reported, key=lambda one: order[one.group]):
        for trial in [trial for trial in one.trials if trial.key in by_key]:
            own = by_key[trial.key]
            status = str(own["status"].iloc[0])
            values = [value(objective, trial, status, own) for objective in search.objectives]
            fresh.append((one.group, one.setting, one.slot, trial.seed, *values, status == "diverged"))
            scores.append(own.assign(group=one.group, setting=one.setting, number=one.slot))
    columns = ["group", "setting", "number", "seed", *VALUES[: len(search.objectives)], "diverged"]
    search_keys = {key for keys in past["keys"] for key in str(keys).split()}
    trials = [trial for one in reported for trial in one.trials]
    tasks = {trial.task.digest(): trial.task for trial in trials}
    sampler = search.options.sampler.name
    return Searched(
        history=budgeted(search, past),
        fresh=pd.DataFrame(fresh, columns=columns),
        scores=pd.concat(scores, ignore_index=True) if scores else frame.head(0),
        trainings=frame[frame["key"].isin(search_keys)],
        objectives=_objectives(search, trials),
        importances=importances(studies),
        sampler=sampler,
        adaptive=sampler in ADAPTIVE,
        seeds=search.options.seeds,
        log=tuple(one.path for one in search.space if one.log),
        ladder=task_ladder(next(iter(tasks.values()))) if len(tasks) == 1 else (),
    )


def budgeted(search: Search, past: pd.DataFrame) -> pd.DataFrame:
    """A history for the report: `number` is the slot, and `counted` gives all groups equal budgets.

    In `past`, `number` is Optuna's trial number, which depends on how often the search was stopped. Here, as in
    `tables.search_history`, it is the slot: the place in the budget.
    """
    counted = past.assign(counted=past.index.isin(equal_budgets(search, past).index), number=past["slot"])
    order = _group_order(search)
    return counted.sort_values(
        ["group", "number", "attempt"], kind="stable", key=lambda by: by.map(order) if by.name == "group" else by
    )


def _group_order(search: Search) -> dict[str, int]:
    """The position of each group in the config."""
    return {group.label: position for position, group in enumerate(search.groups)}


def _objectives(search: Search, trials: Sequence[Trial]) -> tuple[ReportedObjective, ...]:
    """The objectives as texts of the page; `skill` without a lag is named after the trained lag."""
    lags = {trial.lag for trial in trials}
    skill = f"skill at lag {min(lags)}" if len(lags) == 1 else "skill at the trained lag"
    skill = "test skill" if not any(trial.task.has_lags for trial in trials) else skill
    texts = [skill if str(objective) == "skill" else str(objective) for objective in search.objectives]
    return tuple(ReportedObjective(text, direction) for text, direction in zip(texts, search.directions, strict=True))
