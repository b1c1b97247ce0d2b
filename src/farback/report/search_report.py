"""The analysis of a search: what its settings are worth on fresh seeds, and how it came to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from farback import tables
from farback.report.analysis import Analysis, Figure, Table, estimate
from farback.report.search_tables import (
    Objective,
    budgets_shown,
    contests_shown,
    gains_shown,
    gaps_shown,
    reported_shown,
    share_sentence,
    share_shown,
    top_shown,
)
from farback.report.sweep_report import Ladder, retained, trained

BY = ("group", "setting", "number")


@dataclass(frozen=True)
class Searched:
    """What a search left in its two stores.

    Attributes:
        history: a row for each trial of the optimiser (`farback.tables.search_history`).
        fresh: a row for each fresh seed of each setting that is reported (`farback.tables.fresh_seeds`).
        scores: the tidy frame of the fresh trainings, with group, setting and number beside.
        trainings: the tidy frame of the search's own trainings.
        objectives: one, or two for a front.
        importances: group, parameter, importance.
        sampler: its name, for people.
        adaptive: whether the sampler looks back at what it has seen.
        seeds: of each trial of the search.
        log: parameters whose space is logarithmic.
        ladder: what partial memory scores.
    """

    history: pd.DataFrame
    fresh: pd.DataFrame
    scores: pd.DataFrame
    trainings: pd.DataFrame
    objectives: tuple[Objective, ...]
    importances: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["group", "parameter", "importance"])
    )
    sampler: str = "tpe"
    adaptive: bool = True
    seeds: int = 1
    log: tuple[str, ...] = ()
    ladder: Ladder = ()

    @property
    def objective(self) -> Objective:
        """The first one."""
        return self.objectives[0]

    @property
    def conditions(self) -> str:
        """How it was searched, in a phrase."""
        ended = tables.budgets(self.history, self.trainings)
        counts = sorted(set(ended["trials"]))
        each = " for each group" if len(ended) > 1 else ""
        many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        seeds = f"{self.seeds} seed" + ("s" if self.seeds != 1 else "")
        return f"{many} trials of {seeds}{each}, sampler {self.sampler}"

    @property
    def keys(self) -> list[str]:
        """Of all trainings."""
        return [str(key) for key in pd.concat([self.trainings["key"], self.scores["key"]]).drop_duplicates()]

    @property
    def recorded(self) -> int:
        """How many there are."""
        return len(self.keys)

    @property
    def fresh_recorded(self) -> int:
        """Trainings on fresh seeds."""
        return int(self.scores["key"].drop_duplicates().size)

    @property
    def diverged(self) -> int:
        """Trainings that diverged."""
        both = pd.concat([self.trainings[["key", "status"]], self.scores[["key", "status"]]]).drop_duplicates("key")
        return int((both["status"] == "diverged").sum())


def searched(found: Searched) -> Analysis:
    """The standard analysis of a search, with which an experiment's own begins."""
    reported = tables.reported(found.fresh)
    tuned = reported[reported["setting"] == tables.TUNED]
    values = "; ".join(
        f"{row['group'] or 'the best setting'} {estimate(row['value'], row['low'], row['high'])}"
        for row in tuned.to_dict("records")
    )
    seeds = sorted(set(tuned["seeds"]))
    headline = (
        f"Tuned by {found.conditions}, and then trained on {' to '.join(map(str, seeds))} fresh seeds that the search "
        f"never saw, {found.objective.text} is (mean, 95 %): {values}."
    )
    share = tables.tuning_share(found.fresh) if _one_setting_each(found) else pd.DataFrame()
    if len(share):
        headline += " " + share_sentence(share)
    parts = [*worth(found, reported), *_differences(found, share), *horizons(found), *process(found)]
    return Analysis(headline, ["No prediction was written down for this experiment."], parts, metrics(found, reported))


def worth(found: Searched, reported: pd.DataFrame) -> list[Table | Figure]:
    """What fresh seeds gave, and the gap to what the search saw."""
    from farback import plots  # matplotlib takes a second to import

    success = success_at_lag(found)
    gaps = tables.gaps(found.history, found.fresh, found.objective.direction)
    parts: list[Table | Figure] = [
        Table(
            "reported",
            f"On fresh seeds: {found.objective.text}",
            reported if success is None else reported.merge(success, on=list(BY), how="left"),
            reported_shown(reported, success, found.objectives),
        )
    ]
    if len(gaps):
        parts += [
            Figure(
                "seen_fresh",
                "What the search saw, and what fresh seeds gave",
                plots.seen_fresh(gaps, found.fresh, found.objective.text),
                gaps,
                "For each setting the value that the search saw, and the mean over fresh seeds with its 95 % interval.",
            ),
            Table("gaps", "By how much the search saw its settings better than they are", gaps, gaps_shown(gaps)),
        ]
    return parts


def success_at_lag(found: Searched) -> pd.DataFrame | None:
    """Successes of the fresh trainings at the one lag that they were trained at; None where there is not one."""
    fixed = found.scores["train_lags"] == "fixed"
    one = fixed.all() and (found.scores["trained_lag"] == found.scores["trained_lag"].iloc[0]).all()
    if not one or not (found.scores["measure"] == "retention").any():
        return None
    table = tables.success_by_lag(_apart(found.scores), BY)
    return table.loc[:, [*BY, "lag", "trials", "successes", "rate", "low", "high"]].rename(
        columns={"low": "rate_low", "high": "rate_high"}
    )


def _differences(found: Searched, share: pd.DataFrame) -> list[Table | Figure]:
    """Groups against each other and against their defaults, by exact tests."""
    if not _one_setting_each(found):
        return []
    parts: list[Table | Figure] = []
    gains, contests = tables.gains(found.fresh), tables.contests(found.fresh)
    if len(gains):
        caption = "What tuning gave: default against tuned setting, exact tests on fresh seeds, Holm-corrected"
        parts.append(Table("gains", caption, gains, gains_shown(gains)))
    if len(share):
        caption = "How much of the difference between groups is tuning"
        parts.append(Table("tuning_share", caption, share, share_shown(share)))
    if len(contests):
        caption = "Which groups differ: exact tests on fresh seeds, Holm-corrected within each setting"
        parts.append(Table("contests", caption, contests, contests_shown(contests)))
    return parts


def horizons(found: Searched) -> list[Table | Figure]:
    """Horizon tables and figures of the fresh trainings, where they were trained or asked at several lags."""
    if not (found.scores["measure"] == "retention").any():
        return []
    scores = _apart(found.scores)
    fixed, mixed = scores[scores["train_lags"] == "fixed"], scores[scores["train_lags"] != "fixed"]
    parts: list[Table | Figure] = []
    if len(fixed) and (fixed["trained_lag"] != fixed["trained_lag"].iloc[0]).any():
        parts += trained(fixed, BY[:2] if _one_setting_each(found) else BY, within=["setting"])
    if len(mixed):
        parts += retained(mixed, BY[:2] if _one_setting_each(found) else BY, found.ladder)
    return parts


def process(found: Searched) -> list[Table | Figure]:
    """How the search came to its settings: what it saw, which is not a result."""
    from farback import plots

    text, direction, largest = found.objective.text, found.objective.direction, found.objective.largest
    curve = tables.best_after(found.history, direction, found.adaptive)
    columns = ["group", "number", "state", "counted", "value", *(["value_1"] if "value_1" in found.history else [])]
    last = found.history.drop_duplicates(["group", "number"], keep="last")  # of those that were tried again
    last = last[last["number"] >= 0]  # what was made twice by accident fills no place
    trials = last.loc[:, [*columns, *tables.parameters(found.history)]]
    parts: list[Table | Figure] = [
        Figure(
            "best_after",
            "Best after n trials, as the search saw it",
            plots.best_after(curve, text, found.adaptive),
            curve,
            "The best value seen after each trial, a panel for each group, with a 95 % band.",
        )
    ]
    if len(found.objectives) > 1:
        front = tables.front(found.history, [each.direction for each in found.objectives])
        names, best = [each.text for each in found.objectives], [each.largest for each in found.objectives]
        parts.append(
            Figure(
                "front",
                "The front: trials that no other one beats in both objectives, as the search saw them",
                plots.pareto(front, names, best),
                front,
                "Two objectives against each other, a point for each trial, the front of each group joined by steps.",
            )
        )
    if len(found.importances):
        parts.append(
            Figure(
                "importances",
                "Which parameters mattered: how differently each is distributed among the best quarter of the trials",
                plots.importances(found.importances),
                found.importances,
                "Shares of importance by PED-ANOVA, a bar for each parameter, a panel for each group.",
            )
        )
    parts += [
        Figure(
            "slices",
            "Every trial of the search against each parameter",
            plots.slices(last, found.log, text, largest),
            trials,
            "The value seen against each parameter, a panel each, a point for each trial.",
        ),
        Figure(
            "parallel",
            "Parallel coordinates of every trial",
            plots.parallel(last, found.log, text, largest),
            trials,
            "One line for each trial through its parameters to the value seen; darker is better.",
        ),
    ]
    top = tables.top_settings(found.history, direction)
    spent = tables.budgets(found.history, found.trainings)
    return [
        *parts,
        Table("top_settings", "The best settings of each group as the search saw them", top, top_shown(top, text)),
        Table("budgets", "What each group was given and spent", spent, budgets_shown(spent)),
    ]


def metrics(found: Searched, reported: pd.DataFrame) -> dict[str, float]:
    """Aggregates for the tracker: what fresh seeds gave, never what the search saw but as the gap."""
    numbers: dict[str, float] = {}
    for row in reported.to_dict("records"):
        name = " ".join(str(row[key]) for key in _telling(reported) if row[key] != "")
        numbers |= {f"fresh/{name}/{end}": float(row[end]) for end in ("value", "low", "high")}
    for row in tables.gaps(found.history, found.fresh, found.objective.direction).to_dict("records"):
        name = " ".join(str(row[key]) for key in _telling(reported) if row[key] != "")
        numbers[f"gap/{name}"] = float(row["gap"])
    return numbers


def _apart(scores: pd.DataFrame) -> pd.DataFrame:
    """Trainings of each setting under keys of their own: where no trial beats the default, both settings share them."""
    return scores.assign(key=scores["setting"].str.cat(scores["number"].astype(str), " ").str.cat(scores["key"], " "))


def _telling(reported: pd.DataFrame) -> Sequence[str]:
    """The columns that tell reported settings apart."""
    return BY[:2] if not reported.duplicated(list(BY[:2])).any() else BY


def _one_setting_each(found: Searched) -> bool:
    """Whether each group has one tuned setting, so that groups can be compared."""
    return not found.fresh.drop_duplicates(list(BY)).duplicated(list(BY[:2])).any()
