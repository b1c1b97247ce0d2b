"""The page of a search, from the two stores alone: the trainings', and Optuna's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import optuna
import pandas as pd

from farback.experiment import Search
from farback.report import Objective, Searched
from farback.report.page import Page, Subject, write_search
from farback.report.sweep_report import Ladder
from farback.runs.page import chance_of, ladder_of, made_by
from farback.runs.search.api import winner_configs
from farback.runs.search.history import history
from farback.runs.search.importances import importances
from farback.runs.search.objectives import value
from farback.runs.search.study import existing
from farback.runs.search.winners import Winner, defaults, equal_budgets, winners
from farback.stores.base import Store
from farback.stores.studies import exists, located, opened
from farback.trials.trial import Trial

ADAPTIVE = ("tpe", "gp", "cmaes", "nsga2")  # samplers that look back at what they have seen


def publish(search: Search, store: Store, storage: str | None = None) -> Page:
    """Write the folder of a search under `results/` and its summary in the store, training nothing.

    Args:
        search: the search.
        store: of its trained networks.
        storage: of its studies; by default the SQLite file below the search's root.

    Raises:
        UserError: nothing was trained on fresh seeds yet.
    """
    past = history(search, storage)
    tuned = winners(search, past)
    uri = located(storage, search.root)
    studies = existing(search, opened(uri)) if exists(uri) else {}
    reported = [*tuned, *defaults(search, past)]
    found = searched(search, past, reported, store.frame(search.name), studies)
    subject = Subject(
        name=search.name,
        question=search.question,
        config=search.arguments,
        folder=search.results_folder,
        keys=(),
        ladder=found.ladder,
        root=search.root,
        chance=chance_of(trial for one in reported for trial in one.trials),
        config_text=search.text,
        **made_by(search.name, store, found.keys),
    )
    page = write_search(subject, found, winner_configs(search, tuned))
    if not search.overrides:  # the summary in the store is of the unchanged config
        store.summarise(search.name, note=page.note, metrics=page.analysis.metrics, files=page.files)
    return page


def searched(
    search: Search,
    past: pd.DataFrame,
    reported: Sequence[Winner],
    frame: pd.DataFrame,
    studies: Mapping[str, optuna.Study],
) -> Searched:
    """What a search left, as the report takes it.

    Args:
        search: the search.
        past: its history; what lies beyond equal budgets does not count.
        reported: the winners, and the default settings.
        frame: the store's tidy frame; what belongs to none of these is left out.
        studies: by group.
    """
    by_key = {str(key): own for key, own in frame.groupby("key", sort=False)}
    ranks = _ranks(search)
    ordered = sorted(reported, key=lambda one: ranks[one.group])
    fresh, scores = [], []
    for one in ordered:
        for trial in [trial for trial in one.trials if trial.key in by_key]:
            own = by_key[trial.key]
            status = str(own["status"].iloc[0])
            values = [value(objective, trial, status, own) for objective in search.objectives]
            fresh.append((one.group, one.setting, one.slot, trial.seed, *values, status == "diverged"))
            scores.append(own.assign(group=one.group, setting=one.setting, number=one.slot))
    columns = ["value", "value_1"][: len(search.objectives)]
    keys = {key for text in past["keys"] for key in str(text).split()}
    sampler = search.options.sampler.name
    return Searched(
        history=budgeted(search, past),
        fresh=pd.DataFrame(fresh, columns=["group", "setting", "number", "seed", *columns, "diverged"]),
        scores=pd.concat(scores, ignore_index=True) if scores else frame.head(0),
        trainings=frame[frame["key"].isin(keys)],
        objectives=_objectives(search, [trial for one in reported for trial in one.trials]),
        importances=importances(studies),
        sampler=sampler,
        adaptive=sampler in ADAPTIVE,
        seeds=search.options.seeds,
        log=tuple(one.path for one in search.space if one.log),
        ladder=_ladder([trial for one in reported for trial in one.trials]),
    )


def budgeted(search: Search, past: pd.DataFrame) -> pd.DataFrame:
    """A history as the page counts: by the place in the budget, which stays when a setting is tried again.

    Optuna's numbers depend on how often a search was stopped; the page must not.
    """
    counted = past.assign(counted=past.index.isin(equal_budgets(search, past).index), number=past["slot"])
    ranks = _ranks(search)
    return counted.sort_values(
        ["group", "number", "attempt"], kind="stable", key=lambda by: by.map(ranks) if by.name == "group" else by
    )


def _ranks(search: Search) -> dict[str, int]:
    """The place of each group, as the config has them."""
    return {group.label: place for place, group in enumerate(search.groups)}


def _objectives(search: Search, trials: Sequence[Trial]) -> tuple[Objective, ...]:
    """The objectives for people; the skill at the lag that is trained says which, where it is one."""
    lags = {trial.lag for trial in trials}
    named = []
    for objective, direction in zip(search.objectives, search.directions, strict=True):
        text = str(objective)
        if text == "skill":
            text = f"skill at lag {min(lags)}" if len(lags) == 1 else "skill at the trained lag"
        named.append(Objective(text, direction))
    return tuple(named)


def _ladder(trials: Sequence[Trial]) -> Ladder:
    """What partial memory scores, where all trials have one task at one lag."""
    tasks = {trial.task.digest(): trial.task for trial in trials}
    return ladder_of(next(iter(tasks.values()))) if len(tasks) == 1 else ()
