"""Rankings of networks over problems from scores with known results, and their figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from farback import plots, tables
from farback.report.measure_parts import ranked
from farback.stats import improvement, two_stage_bootstrap

PROBLEMS = (("recall", 20), ("copy", 12), ("adding", 10))
# Skill of each seed on each problem: `good` is ahead everywhere, `odd` on one problem, `wrong` is confidently wrong.
SKILLS = {
    "good": [[1.0, 0.9, 0.95], [0.8, 0.7, 0.9], [0.6, 0.9, 0.7]],
    "odd": [[1.0, 1.0, 1.0], [0.1, 0.2, 0.0], [0.3, 0.1, 0.2]],
    "wrong": [[-3.0, -40.0, 0.0], [-1.0, 0.1, 0.0], [0.0, 0.0, 0.05]],
}


def scores_of(skills: dict[str, list[list[float]]], diverged: tuple[str, ...] = ()) -> pd.DataFrame:
    rows = []
    for label, by_problem in skills.items():
        for (task, lag), seeds in zip(PROBLEMS, by_problem, strict=True):
            for seed, skill in enumerate(seeds):
                key = f"{label}-{task}-{seed}"
                trial = {"key": key, "label": label, "cell": label, "init": "torch", "task": task, "trained_lag": lag}
                trial |= {"train_lags": "fixed", "seed": seed, "hidden": 8, "flops": 9, "state": 8}
                trial |= {"parameters": 100 + lag, "status": "diverged" if key in diverged else "finished"}
                rows.append(
                    {**trial, "measure": "retention", "step": 9, "lag": lag, "statistic": "skill", "value": skill}
                )
    return pd.DataFrame(rows)


@pytest.fixture
def scores() -> pd.DataFrame:
    return scores_of(SKILLS, diverged=("good-adding-0",))


def clipped(label: str, diverged: bool = True) -> list[list[float]]:
    """The skills of a network in the order of the problems' names, 0 where they are below chance or diverged."""
    own = {problem: [max(0.0, s) for s in seeds] for problem, seeds in zip(PROBLEMS, SKILLS[label], strict=True)}
    if label == "good" and diverged:
        own["adding", 10][0] = 0.0
    return [own[problem] for problem in sorted(own)]


def test_the_ranking_is_by_the_mean_over_problems_and_names_the_worst(scores: pd.DataFrame) -> None:
    table = tables.ranking(scores)
    assert table["label"].tolist() == ["good", "odd", "wrong"]
    for row in table.to_dict("records"):
        runs = clipped(row["label"])
        means = [np.mean(own) for own in runs]
        assert row["mean"] == pytest.approx(np.mean(means))
        assert (row["low"], row["high"]) == pytest.approx(two_stage_bootstrap(runs))
        assert row["worst"] == pytest.approx(min(means))
        assert (row["worst_low"], row["worst_high"]) == pytest.approx(two_stage_bootstrap(runs, np.min))
        assert row["solved"] == pytest.approx(row["successes"] / 9)
        assert (row["problems"], row["trials"]) == (3, 9)
    assert table["diverged"].tolist() == [1, 0, 0]
    assert table["successes"].tolist() == [8, 3, 0]
    assert table["worst_problem"].tolist() == ["adding, lag 10", "copy, lag 12", "recall, lag 20"]


def test_no_problem_is_trimmed_away() -> None:
    """A network that fails one problem wholly stays below one that is good at all three."""
    fails_one, even = [[1.0] * 3, [1.0] * 3, [0.0] * 3], [[0.8] * 3, [0.8] * 3, [0.8] * 3]
    table = tables.ranking(scores_of({"fails one": fails_one, "even": even}))
    assert table["label"].tolist() == ["even", "fails one"]
    assert table["mean"].tolist() == pytest.approx([0.8, 2 / 3])
    assert table["low"].tolist() == pytest.approx([0.8, 0.0])  # other problems may all be like the one it fails


def test_skill_below_chance_and_of_diverged_trials_is_0(scores: pd.DataFrame) -> None:
    table = tables.skills(scores)
    assert table["skill"].min() == 0
    assert table[table["diverged"]]["skill"].tolist() == [0.0]
    assert len(table) == 27


def test_improvements_are_of_every_ordered_pair_in_the_order_of_the_ranking(scores: pd.DataFrame) -> None:
    table = tables.improvements(scores)
    assert list(zip(table["a"], table["b"], strict=True)) == [
        *(("good", "odd"), ("good", "wrong"), ("odd", "good")),
        *(("odd", "wrong"), ("wrong", "good"), ("wrong", "odd")),
    ]
    both = {(row["a"], row["b"]): (row["probability"], row["low"], row["high"]) for row in table.to_dict("records")}
    for a, b in (("good", "odd"), ("good", "wrong"), ("odd", "wrong")):
        expected = improvement(clipped(a), clipped(b))
        assert both[a, b] == pytest.approx((expected.probability, expected.low, expected.high))
        assert both[b, a] == pytest.approx((1 - expected.probability, 1 - expected.high, 1 - expected.low))


def test_a_group_that_misses_a_problem_is_refused(scores: pd.DataFrame) -> None:
    part = scores[~((scores["label"] == "odd") & (scores["task"] == "copy"))]
    with pytest.raises(ValueError, match="odd was not trained on copy at lag 12"):
        tables.ranking(part)


def test_two_trials_of_one_seed_on_one_problem_are_refused(scores: pd.DataFrame) -> None:
    twice = scores[scores["label"] == "odd"].assign(key=lambda frame: frame["key"] + "x")
    with pytest.raises(ValueError, match="two trials share seed"):
        tables.ranking(pd.concat([scores, twice]))


def test_sizes_are_those_of_the_trials_for_each_task(scores: pd.DataFrame) -> None:
    table = tables.sizes(scores)
    assert len(table) == 9
    assert set(zip(table["task"], table["parameters"], strict=True)) == {
        ("recall", 120),
        ("copy", 112),
        ("adding", 110),
    }
    with pytest.raises(ValueError, match="no column 'flops'"):
        tables.sizes(scores.drop(columns="flops"))


def test_figures_draw_the_numbers_of_their_tables(scores: pd.DataFrame) -> None:
    ranking, skills, pairs = tables.ranking(scores), tables.skills(scores), tables.improvements(scores)
    ax = plots.ranking(ranking).axes[0]
    drawn = [float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() != "None"]
    assert drawn == pytest.approx(
        [number for row in ranking.to_dict("records") for number in (row["mean"], row["worst"])]
    )
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ranking["label"].tolist()[::-1]
    ax = plots.improvement(pairs).axes[0]
    bold = [text.get_text() for text in ax.texts if text.get_fontweight() == "bold"]
    sure = pairs[(pairs["low"] > 0.5) | (pairs["high"] < 0.5)]["probability"]
    assert bold == [f"{100 * value:.0f}" for value in sure]
    assert len(ax.texts) == 6
    figure = plots.skills(skills, ranking)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["adding, lag 10", "copy, lag 12", "recall, lag 20"]
    marks = sorted(float(x) for ax in figure.axes for line in ax.lines if line.get_alpha() for x in line.get_xdata())
    assert marks == pytest.approx(sorted(skills["skill"]))


@pytest.mark.parametrize("count", [1, pytest.param(26, marks=pytest.mark.slow)])
def test_figures_can_draw_any_number_of_networks(count: int) -> None:
    skills = {f"cell {at}": [[at / 30, 0.5, 1.0]] * 3 for at in range(count)}
    parts = ranked(scores_of(skills)) if count > 1 else []
    figures = [part.drawing for part in parts if not hasattr(part, "shown")]
    for figure in [*figures, plots.ranking(tables.ranking(scores_of(skills)))]:
        assert isinstance(figure, Figure)
        figure.draw_without_rendering()


def test_the_shown_ranking_has_successes_on_each_problem(scores: pd.DataFrame) -> None:
    table = ranked(scores)[0].shown
    assert table.columns.tolist() == [
        "network",
        "rank",
        "mean skill, 95 %",
        "worst problem",
        "solved",
        "adding 10",
        "copy 12",
        "recall 20",
        "diverged",
    ]
    assert table.iloc[0].tolist()[5:] == ["2/3", "3/3", "3/3", "1"]
