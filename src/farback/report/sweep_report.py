"""Tables and figures that most experiments need, and the standard analysis of a sweep without a Python file.

Functions import `plots` when they run, because importing matplotlib takes a second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from farback import tables
from farback.records.counted_nouns import counted
from farback.report.analysis import Analysis, Figure, Table
from farback.report.conditions import RATE, conditions, tuned_values
from farback.report.diagnosis_parts import cause_figure, diagnosed, diagnosis_sentence
from farback.report.group_columns import SIZES, group_cells, groups, name_of, rows_with
from farback.report.horizon_metrics import TRUNCATION, metrics
from farback.report.horizon_texts import reach_text, summarised
from farback.report.learning_times import learning_time_parts
from farback.report.without_horizon import (
    no_horizon_sentence,
    scores_sentence,
    scores_without_lag,
    without_horizon,
)
from farback.tables.diagnoses import DIAGNOSIS
from farback.tables.horizon_estimates import HorizonEstimate
from farback.tables.outcomes import CHOICE
from farback.tables.truncation import MEASURE

Ladder = Sequence[tuple[str, float]]  # partial memories: (what is remembered, how far above chance, at most 1)

LEVEL = 0.05  # of significance
CURRICULUM = "curriculum"  # the name of tables and figures of networks trained so
MOST_LAGS = 8  # a table has a column for each lag up to this number
NO_PREDICTION = "No prediction was written down for this experiment."


def standard(scores: pd.DataFrame, ladder: Ladder = ()) -> Analysis:
    """The horizons of every network: trained at each lag, tested at every lag, or both, depending on the trials.

    Networks that were trained with a curriculum of lags have tables and figures of their own, and so has truncation
    reach. Networks on data without lags get a table of test scores; other networks without a horizon (no retention
    measured after training, or lag 0 only) one of validation scores.
    """
    by = groups(scores)
    parts: list[Table | Figure] = []
    sentences: list[str] = []
    horizons: dict[str, pd.DataFrame] = {}
    fixed, has_horizon = scores["train_lags"] == "fixed", tables.has_horizon(scores, by)
    if (fixed & has_horizon).any():
        own = scores[fixed & has_horizon]
        parts += trained(own, by)
        horizons["trainability"] = parts[0].frame
        sentences.append(f"{learned_sentence(own, parts[0].frame, by)}")
    for protocol, own in protocols(scores[has_horizon & ~fixed]):
        retention = retained(own, by, ladder)
        parts += retention
        horizons[protocol] = retention[0].frame
        trained_how = "after a curriculum of lags" if protocol == CURRICULUM else ""
        tested_how = ", ".join(filter(None, ("One trained network", trained_how, "tested at every lag")))
        sentences.append(f"{tested_how}, retains: {summarised(retention[0].frame, by)}.")
    reaches: dict[str, pd.DataFrame] = {}
    if MEASURE in set(scores["measure"]):
        from farback.report import measure_parts

        parts += (seen := measure_parts.truncation(scores, by))
        reaches[TRUNCATION] = seen[0].frame
        sentences.append(truncation_sentence(seen[0].frame))
    if DIAGNOSIS in set(scores["measure"]):
        parts += [why := diagnosed(scores, by), cause_figure(why)]
        sentences += filter(None, [diagnosis_sentence(why.frame, by)])
    has_scores = tables.has_score_without_lag(scores, by) & ~has_horizon
    if has_scores.any():
        parts.append(scores_without_lag(scores[has_scores], by))
        sentences.append(scores_sentence(parts[-1].frame, by, "" if horizons else conditions(scores[has_scores])))
    for _, own in protocols(scores[~(has_horizon | has_scores)]):
        parts.append(without_horizon(own, by))
        seen_of_all = own.groupby(list(by), dropna=False)["measure"].agg(lambda names: MEASURE in set(names)).all()
        where = "" if horizons else conditions(own)
        sentences.append(no_horizon_sentence(parts[-1].frame, by, where, bool(seen_of_all)))
    if not has_horizon.all():
        parts += [] if any(part.name == "choices" for part in parts) else tuning(scores, by)
    parts += sized(scores, by)
    return Analysis(" ".join(sentences), [NO_PREDICTION], parts, *metrics(horizons | reaches))


def protocols(scores: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The scores of networks trained on mixed lags, and of those trained with a curriculum, as far as there are any."""
    apart = tables.of_curriculum(scores)
    named = (("retention", scores[~apart]), (CURRICULUM, scores[apart]))
    return [(name, own) for name, own in named if len(own)]


def truncation_sentence(reaches: pd.DataFrame) -> str:
    """The headline of truncation reaches: how many steps back half of the skill of each network needs."""
    known = reaches[reaches["bound"] != "unknown"]
    if known.empty:
        return "No network is better than chance on test data, so how far back it looks is unknown."
    listed = summarised(known, list(reaches.columns[: reaches.columns.get_loc("seeds")]))
    rest = f"; unknown for {len(reaches) - len(known)} of {len(reaches)} networks" if len(known) < len(reaches) else ""
    return f"Half of the skill on test data needs inputs this many steps back: {listed}{rest}."


def learned_sentence(scores: pd.DataFrame, horizons: pd.DataFrame, by: Sequence[str]) -> str:
    """The headline of trainings at one lag each: how far back each network learns to look, and the conditions."""
    return f"Half of fresh trainings succeed up to these lags ({conditions(scores)}): {summarised(horizons, by)}."


def trained(
    scores: pd.DataFrame, by: Sequence[str] = ("label",), family: Sequence[str] = (), within: Sequence[str] = ()
) -> list[Table | Figure]:
    """Horizon table, success rate against lag, forest plot, and comparisons, of trials trained at one lag each.

    Where settings were tuned, a table says what each setting came to.

    Args:
        family: the columns that name the groups to compare; by default `by`.
        within: compare only groups that agree in these columns; fewer tests have more power.
    """
    from farback import plots

    horizons = tables.trainability(scores, by)
    success = tables.success_by_lag(scores, by)
    pairs = tables.comparisons(scores, family or by, within)
    caption = "Trained at one lag: the lag at which half of fresh trainings succeed, with its 95 % interval"
    drawing = plots.success(success, tables.success_curves(scores, by), horizons)
    success_alt = "Share of trainings that succeed against the lag, with 95 % bands; the half-way lag is marked."
    forest_alt = (
        "The lag at which half of fresh trainings succeed, with 95 % intervals; arrows lie beyond the lags tried."
    )
    parts: list[Table | Figure] = [
        Table("trainability", caption, horizons, shown(horizons, by, success)),
        Figure("success", "Success rate against lag", drawing, success, success_alt),
        Figure("trainability_forest", "Horizons with their intervals", plots.forest(horizons), horizons, forest_alt),
    ]
    parts += tuning(scores, by)
    parts += learning_time_parts(scores, by)
    if len(pairs):
        parts.append(Table("comparisons", _pairs_caption(pairs), pairs, compared(pairs)))
    return parts


def tuning(scores: pd.DataFrame, by: Sequence[str] = ("label",)) -> list[Table]:
    """A list with the table of the settings that were tried and what each came to; it is empty if none was tuned."""
    tuned = tuned_values(scores)
    if not tuned or not (scores["role"] == CHOICE).any():
        return []
    choices = tables.choices(scores, by)
    what = "Rates" if list(tuned) == [RATE] else "Settings"
    has_skill = choices["skill"].notna()
    kinds = (("the mean skill", has_skill.any()), ("the half-way lag", not has_skill.all()))
    came_to = " or ".join(kind for kind, occurs in kinds if occurs)
    caption = f"{what} tried: {came_to} of each, on the seeds that took part in the choice"
    return [Table("choices", caption, choices, tried(choices, by))]


def _pairs_caption(pairs: pd.DataFrame) -> str:
    caption = "The probability that one network learns a longer lag than another"
    exact = pairs.dropna(subset="p")
    if exact.empty:
        return caption
    caption += "; p: exact test of the lags that each seed learns, Holm-corrected"
    smallest = len(exact) * 2 / math.comb(exact["seeds_a"].max() + exact["seeds_b"].max(), exact["seeds_a"].max())
    if smallest > LEVEL:
        caption += f"; {counted(len(exact), 'pair')} of so few seeds cannot come below {min(smallest, 1.0):.2g}"
    return caption


def retained(scores: pd.DataFrame, by: Sequence[str] = ("label",), ladder: Ladder = ()) -> list[Table | Figure]:
    """Horizon table, retention curves and forest plot of networks trained on mixed lags and tested at each."""
    from farback import plots

    horizons = tables.retention_horizons(scores, by)
    curves, networks = tables.retention_curves(scores, by), tables.seed_horizons(scores, by)
    ((protocol, _),) = protocols(scores)
    how, after = (", trained with a curriculum", " after a curriculum") if protocol == CURRICULUM else ("", "")
    caption = f"One network{how}, tested at every lag: the lag at which the median network first fails"
    alt = "How far above chance against test lag: a thin line for each seed, the median on top; 0.5 passes."
    forest = plots.forest(horizons, networks)
    forest_alt = "The lag of the first failure of each network, and their median with its interval."
    return [
        Table(f"{protocol}_horizons", caption, horizons, shown(horizons, by)),
        Figure(protocol, f"Retention curves{after}", plots.retention(curves, ladder, horizons), curves, alt),
        Figure(f"{protocol}_forest", f"First failure of each network{after}", forest, horizons, forest_alt),
    ]


def sized(scores: pd.DataFrame, by: Sequence[str] = ("label",)) -> list[Table]:
    """A list with the table of network sizes; it is empty if a trial was recorded without its size."""
    if not set(SIZES) <= set(scores.columns) or scores[list(SIZES)].isna().any().any():
        return []
    sizes = tables.sizes(scores, by)
    rows = []
    for _, own in sizes.groupby(list(by), sort=False, dropna=False):
        rows.append(
            {
                **group_cells(own.iloc[0].to_dict(), by),
                **{SIZES.get(name, name): _range(own[name]) for name in ("hidden", *SIZES)},
            }
        )
    return [Table("sizes", "How large the networks are", sizes, pd.DataFrame(rows))]


def _range(values: pd.Series[int]) -> str:
    """One number, or "low to high": a network's size depends on its task; empty where no size is known (`network`)."""
    if values.isna().all():
        return ""
    low, high = int(values.min()), int(values.max())
    return f"{low}" if low == high else f"{low} to {high}"


def shown(horizons: pd.DataFrame, by: Sequence[str], success: pd.DataFrame | None = None) -> pd.DataFrame:
    """A horizon table as text: the horizon with its interval, the same without a model, and successes at each lag."""
    lags = [] if success is None else sorted(set(success["lag"]))
    farthest = horizons["largest_lag"].max() if len(horizons) else None
    rows = []
    for row in horizons.to_dict("records"):
        cells = {**group_cells(row, by), "horizon": reach_text(row, "", farthest)}
        if success is None:
            cells["networks"] = str(row["seeds"])
        else:
            own = rows_with(success, {name: row[name] for name in by})
            cells["without a model"] = _isotonic_text(row)
            cells["trainings"] = str(row["trainings"])
            if len(lags) > MOST_LAGS:
                cells["lags tried"] = f"{len(own)} from {own['lag'].min()} to {own['lag'].max()}"
            else:
                cells |= {f"lag {lag}": "" for lag in lags}
                counts = zip(own["lag"], own["successes"], own["trials"], strict=True)
                cells |= {f"lag {lag}": f"{passed}/{trials}" for lag, passed, trials in counts}
            if not horizons["fits"].all():
                cells["curve fits"] = "yes" if row["fits"] else "no"
        if horizons["diverged"].any():
            cells["diverged"] = str(row["diverged"])
        rows.append(cells)
    return pd.DataFrame(rows).fillna("")


def _isotonic_text(row: Mapping[Any, Any]) -> str:
    ends = (row["isotonic"], row["isotonic_low"], row["isotonic_high"])
    return str(HorizonEstimate(*ends, row["smallest_lag"], row["largest_lag"]))


def tried(choices: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The settings that were tried as text: a row for each network and listed lag, a column for each setting."""
    at_lag = choices.assign(lag=choices["smallest_lag"].where(choices["skill"].notna(), 0))
    rows = []
    for (*group, lag), own in at_lag.groupby([*by, "lag"], sort=False, dropna=False):
        cells = group_cells(dict(zip(by, group, strict=True)), by)
        cells |= {"lag": f"{lag}"} if own["skill"].notna().all() else {}
        cells["chosen"] = ", ".join(own.loc[own["chosen"], "tuned"]) or "none yet"
        for row in own.to_dict("records"):
            came_to = row["horizon"] if pd.isna(row["skill"]) else f"{row['skill']:.2f}"
            count = row["trainings"]
            cells[row["tuned"]] = f"{came_to}, {count} training{'s' if count > 1 else ''}"
        rows.append(cells)
    lags = ["lag"] if choices["skill"].notna().any() else []
    settings = sorted(set(choices["tuned"]), key=_numbers_last)
    return pd.DataFrame(rows, columns=[*map(name_of, by), *lags, "chosen", *settings]).fillna("")


def _numbers_last(setting: str) -> tuple[str, float]:
    """A key that sorts settings by name, then by value."""
    name, _, value = setting.rpartition(" ")
    try:
        return name, float(value)
    except ValueError:
        return setting, 0.0


def compared(pairs: pd.DataFrame) -> pd.DataFrame:
    """The comparisons as text, the clearest difference first."""
    clear = (pairs["farther"] - 0.5).abs()
    ordered = pairs.assign(clear=-clear).sort_values(["p_holm", "p", "clear", "a", "b"], kind="stable")
    texts = {
        "network": ordered["a"],
        "other": ordered["b"],
        "horizon": ordered["horizon_a"],
        "of the other": ordered["horizon_b"],
        "longer than the other": ordered["farther"].map(probability_text),
    }
    if ordered["p"].notna().any():
        texts |= {"p": ordered["p"].map("{:.3g}".format), "p, Holm": ordered["p_holm"].map("{:.3g}".format)}
    return pd.DataFrame(texts).replace("nan", "")


def probability_text(value: float) -> str:
    """A probability in percent; close to 0 or 1 as a bound, because no posterior is certain."""
    if value < 0.001 or value > 0.999:
        return "< 0.1%" if value < 0.5 else "> 99.9%"
    return f"{value:.1%}" if min(value, 1 - value) < 0.1 else f"{value:.0%}"
