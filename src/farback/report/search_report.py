"""The analysis of a search: its settings on fresh seeds, and the trials that led to them."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from farback import tables
from farback.records.counted_nouns import counted
from farback.report import search_tables
from farback.report.analysis import Analysis, Figure, Table, estimate
from farback.report.search_tables import SETTING, ReportedObjective, Row
from farback.report.sweep_report import NO_PREDICTION, Ladder, protocols, retained, trained


@dataclass(frozen=True)
class Searched:
    """The results of a search, from MLflow and Optuna.

    Attributes:
        history: a row for each of Optuna's trials (`farback.tables.search_history`).
        fresh: a row for each fresh seed of each setting that is reported (`farback.tables.fresh_seeds`).
        scores: the tidy frame of the fresh trainings, with columns group, setting and number.
        trainings: the tidy frame of the search's own trainings.
        objectives: one, or two for a Pareto front.
        importances: group, parameter, importance.
        adaptive: whether the sampler uses the values of earlier trials.
        seeds: how many seeds each trial of the search has.
        log: parameters that are searched on a logarithmic scale.
    """

    history: pd.DataFrame
    fresh: pd.DataFrame
    scores: pd.DataFrame
    trainings: pd.DataFrame
    objectives: tuple[ReportedObjective, ...]
    importances: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["group", "parameter", "importance"])
    )
    sampler: str = "tpe"
    adaptive: bool = True
    seeds: int = 1
    log: tuple[str, ...] = ()
    ladder: Ladder = ()

    @property
    def objective(self) -> ReportedObjective:
        """The first objective."""
        return self.objectives[0]

    @property
    def conditions(self) -> str:
        """The size of the search, in a phrase."""
        budgets = tables.budgets(self.history, self.trainings)
        counts = sorted(set(budgets["trials"]))
        trials = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        each = " for each group" if len(budgets) > 1 else ""
        return f"{counted(trials, 'trial')} of {counted(self.seeds, 'seed')}{each}, sampler {self.sampler}"

    @property
    def keys(self) -> list[str]:
        """The keys of all trainings."""
        return [str(key) for key in self._status().index]

    @property
    def recorded(self) -> int:
        """The number of trainings."""
        return len(self._status())

    @property
    def fresh_recorded(self) -> int:
        """The number of trainings on fresh seeds."""
        return int(self.scores["key"].nunique())

    @property
    def diverged(self) -> int:
        """The number of trainings that diverged."""
        return int((self._status() == "diverged").sum())

    def _status(self) -> pd.Series:
        """The status of every training by its key."""
        both = pd.concat([self.trainings[["key", "status"]], self.scores[["key", "status"]]])
        return both.drop_duplicates("key").set_index("key")["status"]


def searched(found: Searched) -> Analysis:
    """The standard analysis of a search; an experiment's script may start from it."""
    reported = tables.reported(found.fresh)
    tuned = reported[reported["setting"] == tables.TUNED]
    values = "; ".join(
        f"{row['group'] or 'the best setting'} {estimate(row['value'], row['low'], row['high'])}"
        for row in tuned.to_dict("records")
    )
    seeds = " to ".join(map(str, sorted(set(tuned["seeds"]))))
    headline = (
        f"Tuned by {found.conditions}, then trained on {counted(seeds, 'fresh seed')} that the search never used, "
        f"{found.objective.text} is (mean, 95 %): {values}."
    )
    share = tables.tuning_share(found.fresh) if _one_setting_each(found) else pd.DataFrame()
    if len(share):
        headline += " " + search_tables.share_sentence(share)
    parts = [*worth(found, reported), *_differences(found, share), *horizons(found), *process(found)]
    return Analysis(headline, [NO_PREDICTION], parts, metrics(found, reported))


def worth(found: Searched, reported: pd.DataFrame) -> list[Table | Figure]:
    """The values on fresh seeds, and their difference from the search's own values."""
    from farback import plots

    success = success_at_lag(found)
    gaps = tables.gaps(found.history, found.fresh, found.objective.direction)
    frame = reported if success is None else reported.merge(success, on=SETTING, how="left")
    shown = search_tables.reported_shown(reported, success, found.objectives)
    parts: list[Table | Figure] = [Table("reported", f"On fresh seeds: {found.objective.text}", frame, shown)]
    if len(gaps):
        drawing = plots.seen_fresh(gaps, found.fresh, found.objective.text)
        alt = "For each setting the search's own value, and the mean over fresh seeds with its 95 % interval."
        parts.append(Figure("seen_fresh", "Values in the search, and on fresh seeds", drawing, gaps, alt))
        caption = "How much the search overestimated its settings"
        parts.append(Table("gaps", caption, gaps, search_tables.gaps_shown(gaps)))
    return parts


def success_at_lag(found: Searched) -> pd.DataFrame | None:
    """How many fresh seeds succeed at the training lag; None if there are several lags, or no measure of retention.

    The lag is -1 for data that do not say which lags their answers need.
    """
    one_lag = (found.scores["train_lags"] == "fixed").all() and len(set(found.scores["trained_lag"])) == 1
    if not one_lag or not (found.scores["measure"] == "retention").any():
        return None
    table = tables.success_by_lag(_own_keys(found.scores), SETTING)
    table = table.assign(lag=-1) if tables.has_score_without_lag(found.scores, SETTING).any() else table
    table = table.loc[:, [*SETTING, "lag", "trials", "successes", "rate", "low", "high"]]
    return table.rename(columns={"low": "rate_low", "high": "rate_high"})


def _differences(found: Searched, share: pd.DataFrame) -> list[Table]:
    """Comparisons of groups with each other and of tuned with default settings, by exact tests."""
    if not _one_setting_each(found):
        return []
    gains, contests = tables.gains(found.fresh), tables.contests(found.fresh)
    gained = "The effect of tuning: default against tuned setting, exact tests on fresh seeds, Holm-corrected"
    differ = "Which groups differ: exact tests on fresh seeds, Holm-corrected within each setting"
    removed = "How much of the difference between groups is tuning"
    parts = [
        Table("gains", gained, gains, search_tables.gains_shown(gains)),
        Table("tuning_share", removed, share, search_tables.share_shown(share)),
        Table("contests", differ, contests, search_tables.contests_shown(contests)),
    ]
    return [part for part in parts if len(part.frame)]


def horizons(found: Searched) -> list[Table | Figure]:
    """Horizon tables and figures of the fresh trainings, where they have several training or test lags."""
    if not (found.scores["measure"] == "retention").any():
        return []
    scores = _own_keys(found.scores)
    by = SETTING[:2] if _one_setting_each(found) else SETTING
    fixed, mixed = scores[scores["train_lags"] == "fixed"], scores[scores["train_lags"] != "fixed"]
    parts: list[Table | Figure] = []
    if len(set(fixed["trained_lag"])) > 1:
        parts += trained(fixed, by, within=["setting"])
    for _, own in protocols(mixed):
        parts += retained(own, by, found.ladder)
    return parts


def process(found: Searched) -> list[Table | Figure]:
    """Figures and tables of the search's own trials and values, which are not results."""
    from farback import plots

    text, direction, largest = found.objective.text, found.objective.direction, found.objective.largest
    curve = tables.best_after(found.history, direction, found.adaptive)
    last = found.history.drop_duplicates(["group", "number"], keep="last")  # the last attempt of repeated trials
    last = last[last["number"] >= 0]  # a negative number marks an accidental duplicate
    columns = ["group", "number", "state", "counted", "value", *(["value_1"] if "value_1" in found.history else [])]
    trials = last.loc[:, [*columns, *tables.parameters(found.history)]]

    drawing = plots.best_after(curve, text, found.adaptive)
    alt = "The best value after each trial, a panel for each group, with a 95 % band."
    parts: list[Table | Figure] = [Figure("best_after", "Best value in the search after n trials", drawing, curve, alt)]
    if len(found.objectives) > 1:
        front = tables.front(found.history, [each.direction for each in found.objectives])
        drawing = plots.pareto(front, [one.text for one in found.objectives], [one.largest for one in found.objectives])
        caption = "The Pareto front: trials of the search that no other trial beats in both objectives"
        alt = "Two objectives against each other, a point for each trial, the front of each group joined by steps."
        parts.append(Figure("front", caption, drawing, front, alt))
    if len(found.importances):
        caption = "Which parameters mattered: how differently each is distributed among the best quarter of the trials"
        alt = "Shares of importance by PED-ANOVA, a bar for each parameter, a panel for each group."
        drawing = plots.importances(found.importances)
        parts.append(Figure("importances", caption, drawing, found.importances, alt))
    drawing = plots.slices(last, found.log, text, largest)
    alt = "The value in the search against each parameter, a panel each, a point for each trial."
    parts.append(Figure("slices", "Every trial of the search against each parameter", drawing, trials, alt))
    drawing = plots.parallel(last, found.log, text, largest)
    alt = "One line for each trial through its parameters to its value in the search; darker is better."
    parts.append(Figure("parallel", "Parallel coordinates of every trial", drawing, trials, alt))
    top = tables.top_settings(found.history, direction)
    caption = "The best settings of each group by their value in the search"
    parts.append(Table("top_settings", caption, top, search_tables.top_shown(top, text)))
    budgets = tables.budgets(found.history, found.trainings)
    caption = "The budget of each group, and how much of it was used"
    parts.append(Table("budgets", caption, budgets, search_tables.budgets_shown(budgets)))
    return parts


def metrics(found: Searched, reported: pd.DataFrame) -> dict[str, float]:
    """Metrics for MLflow: the values on fresh seeds, and the gaps."""
    gaps = tables.gaps(found.history, found.fresh, found.objective.direction)
    columns = SETTING if reported.duplicated(SETTING[:2]).any() else SETTING[:2]

    def name(row: Row) -> str:
        return " ".join(str(row[key]) for key in columns if row[key] != "")

    fresh = {
        f"fresh/{name(row)}/{end}": float(row[end])
        for row in reported.to_dict("records")
        for end in ("value", "low", "high")
    }
    return fresh | {f"gap/{name(row)}": float(row["gap"]) for row in gaps.to_dict("records")}


def _own_keys(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores with a key for each setting: a tuned setting that equals the default shares its trainings and keys."""
    return scores.assign(key=scores["setting"].str.cat(scores["number"].astype(str), " ").str.cat(scores["key"], " "))


def _one_setting_each(found: Searched) -> bool:
    """Whether each group has one tuned setting, so that groups can be compared."""
    return not found.fresh.drop_duplicates(SETTING).duplicated(SETTING[:2]).any()
