"""What a search has left to do, and how long that takes, for `farback search --dry-run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import optuna
import pandas as pd
from optuna.samplers import RandomSampler

from farback.executors import Executor
from farback.experiment import Group, Search
from farback.experiment.search_space import Dimension, Plain
from farback.experiment.yaml_tree import Node
from farback.runs.schedule import Remaining, plan
from farback.runs.search.budget import slots
from farback.runs.search.optuna_history import frame
from farback.runs.search.samplers import suggestion
from farback.runs.search.study import existing, refuse_other
from farback.runs.search.winners import default_point, defaults, winners
from farback.runs.time_estimate import estimate
from farback.stores.studies import exists, located, opened, quiet
from farback.training.rates import folder
from farback.trials.trial import Trial

MOST_DRAWN = 4  # settings of a group whose trainings are timed: each may have another size


@dataclass(frozen=True)
class Expected:
    """What a search has left to do.

    Attributes:
        total: the number of settings of all groups.
        done: how many of them are done.
        reported: trainings on fresh seeds that are left.
        trainings: all trainings that are left; fewer if settings are pruned.
        seconds: the estimated time of these trainings.
        seconds_at_most: their time if no trial stops early.
    """

    total: int
    done: int
    reported: int
    trainings: int
    seconds: float = 0.0
    seconds_at_most: float = 0.0


def expected(
    search: Search,
    scores: pd.DataFrame,
    executor: Executor,
    device: str,
    *,
    storage: str | None = None,
    trials: int | None = None,
    restart: bool = False,
) -> Expected:
    """What a search has left to do, as if its settings were drawn at random. Nothing is recorded, no file is made.

    Args:
        scores: the store's frame of the search.
        storage, trials: as in `farback.search`.
        restart: as if the studies were deleted.

    Raises:
        UserError: a study was made with another config.
    """
    uri = located(storage, search.root)
    studies = existing(search, opened(uri)) if exists(uri) and not restart else {}
    total, done = 0, 0
    for group in search.groups:
        own, size = 0, max(search.trials_per_group, trials or 0)
        if study := studies.get(group.label):
            refuse_other(study, search, group)
            size = max(size, int(study.user_attrs.get("trials", 0)))
            own = sum(slot.is_done for slot in slots(study.get_trials(deepcopy=False), size)[:size])
        total, done = total + size, done + own
    left, seeds, recorded = total - done, search.search_seeds, set(scores["key"])
    drawn = {group.label: _drawn(search, group, min(MOST_DRAWN, search.options.batch)) for group in search.groups}
    points = [(group, values) for group in search.groups for values in drawn[group.label]]
    batch = [search.trial(group, values, seed) for group, values in points for seed in seeds] if left else []
    reported = _reported(search, studies, drawn if left else {})
    fresh = [trial for trial in reported if trial.key not in recorded]
    parts = []
    for part, share in ((batch, left / len(points)), (fresh, 1.0)):
        if part:
            planned = plan(Remaining.of(part, ()), executor.size)
            time = estimate(planned, executor, scores, device, folder(search.root))
            parts.append((time.expected * share, time.most * share))
    if left and search.options.budget is not None:
        minutes = 60 * search.options.budget
        parts[0] = min(parts[0][0], minutes), min(parts[0][1], minutes)
    seconds, most = (sum(own) for own in zip(*parts, strict=True)) if parts else (0.0, 0.0)
    return Expected(total, done, len(fresh), left * len(seeds) + len(fresh), seconds, most)


def _drawn(search: Search, group: Group, count: int) -> list[dict[str, Plain]]:
    """Settings of a group, drawn at random."""
    with quiet():
        study = optuna.create_study(sampler=RandomSampler(seed=0))
        points = []
        for _ in range(count):
            handle, values = study.ask(), dict[str, Plain]()

            def choose(one: Dimension, handle: optuna.Trial = handle, values: dict[str, Plain] = values) -> Node:
                values[one.path] = suggestion(handle, one)
                return one.node(values[one.path])

            search.walk(group, choose)
            points.append(values)
    return points


def _reported(
    search: Search, studies: Mapping[str, optuna.Study], drawn: Mapping[str, list[dict[str, Plain]]]
) -> list[Trial]:
    """The trials on fresh seeds: those of the best and the default settings; `drawn` stand in for them."""
    if not drawn:
        past = frame(search, {label: study.get_trials(deepcopy=False) for label, study in studies.items()})
        found = [trial for best in (*defaults(search, past), *winners(search, past)) for trial in best.trials]
        return list({trial.key: trial for trial in found}.values())
    points = [(group, drawn[group.label][0]) for group in search.groups]
    if search.options.report.default:
        points += [(group, point) for group in search.groups if (point := default_point(search, group))]
    return [search.trial(group, values, seed) for group, values in points for seed in search.report_seeds]
