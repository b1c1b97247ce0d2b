"""The page of a search, from made-up stores with known results."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from farback import tables
from farback.records.user_error import UserError
from farback.report import Analysis, ReportedObjective, Searched, searched
from farback.report.page import Page, Subject, write_search
from farback.report.search_report import horizons, success_at_lag, worth
from farback.report.search_tables import share_sentence

CELLS = ("GRU", "LSTM")
WINNER, SEEN = 2, 0.9


def training(key: str, seed: int, skill: float, lag: int = 80, **more: object) -> list[dict[str, object]]:
    """The rows of one training in the tidy frame."""
    base = {
        "key": key,
        "label": "x",
        "cell": "x",
        "init": "torch",
        "task": "recall",
        "trained_lag": lag,
        "seed": seed,
        "steps": 100,
    }
    base |= {"train_lags": "fixed", "status": "finished", "measure": "retention", "step": 100, "lag": lag, **more}
    values = {"skill": skill, "accuracy": 0.25 + 0.75 * skill, "chance_accuracy": 0.25}
    return [base | {"statistic": name, "value": value} for name, value in values.items()]


def made(worth: float = 0.7, default: float = 0.2, apart: float = 0.2, lags: tuple[int, ...] = (80,)) -> Searched:
    """Two groups of four trials, of which number 2 looked best and number 0 is the default setting."""
    history, fresh, scores, trainings = [], [], [], []
    for at, group in enumerate(CELLS):
        for number, value in enumerate([default, 0.5, SEEN, 0.4]):
            key = f"{group}{number}"
            history.append((group, number, "complete", True, value, 10.0**-number, "torch", key, "2026-11-25", 1.5, ""))
            trainings += training(key, 10_000, value)
        for setting, number, mean in (("tuned", WINNER, worth), ("default", 0, default + apart * at)):
            for seed in range(6):
                value = mean + (-0.1 if seed % 2 else 0.1)
                fresh.append((group, setting, number, seed, value, False))
                for lag in lags:
                    rows = training(f"{group}{number}-{seed}-{lag}", seed, value if lag == 80 else 1.0, lag)
                    scores += [row | {"group": group, "setting": setting, "number": number} for row in rows]
    columns = [
        "group",
        "number",
        "state",
        "counted",
        "value",
        "param.optimizer.lr",
        "param.init",
        "keys",
        "started",
        "seconds",
    ]
    return Searched(
        history=pd.DataFrame(history, columns=[*columns, "reason"]),
        fresh=pd.DataFrame(fresh, columns=["group", "setting", "number", "seed", "value", "diverged"]),
        scores=pd.DataFrame(scores),
        trainings=pd.DataFrame(trainings),
        objectives=(ReportedObjective("skill at lag 80"),),
        importances=pd.DataFrame({"group": CELLS, "parameter": "optimizer.lr", "importance": 1.0}),
        seeds=1,
        log=("optimizer.lr",),
    )


@cache
def analysis() -> Analysis:
    """The standard analysis, drawn once."""
    return searched(made())


def page(found: Searched, root: Path, configs: dict[str, str] | None = None) -> Page:
    subject = Subject("tune", "How much is tuning?", "configs/tune.yaml", (), (), root, root / "results" / "tune")
    return write_search(subject, found, configs or {})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_only_fresh_seeds_are_in_the_headline_and_in_the_trackers_numbers() -> None:
    assert "GRU 0.70 (" in analysis().headline
    assert "6 fresh seeds" in analysis().headline
    assert str(SEEN) not in analysis().headline
    assert analysis().metrics["fresh/GRU tuned/value"] == pytest.approx(0.7)
    assert analysis().metrics["gap/GRU tuned"] == pytest.approx(SEEN - 0.7)
    assert SEEN not in analysis().metrics.values()


def test_the_headline_table_holds_mean_interval_and_success_at_the_lag() -> None:
    table = analysis().tables[0]
    assert table.name == "reported"
    row = table.shown.iloc[0]
    assert row["skill at lag 80, 95 %"].startswith("0.70 (")
    assert row["succeed at lag 80"] == "6/6 (61% to 100%)"
    assert table.frame["successes"].tolist() == [6, 0, 6, 3]


def test_how_much_of_the_difference_is_tuning() -> None:
    """Defaults differ by 0.4, tuned settings are equal."""
    share = tables.tuning_share(made(apart=0.4).fresh)
    assert share["default"].tolist() == pytest.approx([0.4])
    assert share["share"].tolist() == pytest.approx([1.0])
    assert "tuning removes 100%" in share_sentence(share)
    parts = {table.name: table for table in analysis().tables}
    assert share_sentence(parts["tuning_share"].frame) in analysis().headline


@pytest.mark.slow
def test_a_deleted_folder_is_rebuilt_byte_for_byte(tmp_path: Path) -> None:
    folder = page(made(), tmp_path, {"winner-GRU.yaml": "name: winner-GRU\n"}).report.parent
    before = contents(folder)
    for path in folder.iterdir():
        path.unlink()
    shuffled = made()
    again = replace(
        shuffled, **{name: getattr(shuffled, name).copy() for name in ("history", "fresh", "scores", "trainings")}
    )
    page(again, tmp_path, {"winner-GRU.yaml": "name: winner-GRU\n"})
    assert contents(folder) == before


def test_the_page_links_every_figure_table_and_winning_config(tmp_path: Path) -> None:
    written = page(made(), tmp_path, {"winner-GRU.yaml": "a: 1\n", "winner-LSTM.yaml": "a: 2\n"})
    text = written.report.read_text()
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert {"winner-GRU.yaml", "winner-LSTM.yaml", "gaps.csv", "best_after.png", "slices.svg"} <= set(links)
    for link in links:
        assert (written.report.parent / link).exists(), link
    assert {path.name for path in written.files} == {path.name for path in written.report.parent.iterdir()}
    assert (written.report.parent / "winner-LSTM.yaml").read_text() == "a: 2\n"
    assert "4 trials of 1 seed for each group, sampler tpe" in text
    assert "32 trainings of `configs/tune.yaml` are recorded, 24 of them on fresh seeds" in text
    assert "nan" not in text


def test_where_nothing_was_trained_on_fresh_seeds_there_is_no_result(tmp_path: Path) -> None:
    found = made()
    with pytest.raises(UserError, match=r"farback search configs/tune\.yaml"):
        page(replace(found, fresh=found.fresh.head(0)), tmp_path)
    assert not (tmp_path / "results").exists()


def test_an_experiment_of_its_own_judges_a_search(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "tune.py").write_text(
        "from farback.report import Analysis\n"
        "PREDICTION, REFUTED_BY = 'It is tuning.', 'It is not.'\n"
        "def analyse(found):\n"
        "    return Analysis(found.conditions, [f'{len(found.history)} trials'])\n"
    )
    text = page(made(), tmp_path).report.read_text()
    assert "It is tuning." in text
    assert "- 8 trials" in text


def test_several_lags_have_their_horizons() -> None:
    found = made(lags=(40, 80))
    names = [part.name for part in horizons(found)]
    assert {"trainability", "success", "trainability_forest"} <= set(names)
    assert success_at_lag(found) is None
    assert "trainability" not in [part.name for part in analysis().parts]


def test_a_default_that_nothing_beats_is_the_tuned_setting_too() -> None:
    """Both settings then share their trainings."""
    found = made()
    default = found.fresh["setting"] == "default"
    fresh = pd.concat([found.fresh[default], found.fresh[default].assign(setting="tuned")], ignore_index=True)
    own = found.scores["setting"] == "default"
    scores = pd.concat([found.scores[own], found.scores[own].assign(setting="tuned")], ignore_index=True)
    same = replace(found, fresh=fresh, scores=scores)
    reported = worth(same, tables.reported(same.fresh))[0].frame
    assert reported["successes"].tolist() == [0, 3, 0, 3]  # GRU, LSTM; default, tuned
    assert tables.gains(same.fresh)["p"].tolist() == [1.0, 1.0]
    assert same.fresh_recorded == 12


def test_two_objectives_have_a_front_and_no_single_winner() -> None:
    found = made()
    rng = np.random.default_rng(0)
    tuned = found.fresh[found.fresh["setting"] == "tuned"]
    fresh = pd.concat([tuned, tuned.assign(number=1)], ignore_index=True).assign(value_1=5.0)
    own = found.scores[found.scores["setting"] == "tuned"]
    scores = pd.concat([own, own.assign(number=1, key=own["key"] + "b")], ignore_index=True)
    two = replace(
        found,
        history=found.history.assign(value_1=rng.uniform(0, 1, len(found.history))),
        fresh=fresh,
        scores=scores,
        objectives=(ReportedObjective("skill at lag 80"), ReportedObjective("updates to solve", "minimize")),
    )
    result = searched(two)
    names = [part.name for part in result.parts]
    assert "front" in names
    assert not {"gains", "contests", "tuning_share"} & set(names)
    assert result.tables[0].shown["updates to solve, 95 %"].tolist() == ["5 (5 to 5)"] * 4
    assert "fresh/GRU tuned 1/value" in result.metrics


def test_one_search_without_groups_names_no_group() -> None:
    found = made()
    alone = {
        name: frame[frame["group"] == "GRU"].assign(group="")
        for name in ("history", "fresh", "scores", "importances")
        for frame in [getattr(found, name)]
    }
    result = searched(replace(found, **alone))
    assert "the best setting 0.70 (" in result.headline
    assert "group" not in result.tables[0].shown
    assert "fresh/tuned/value" in result.metrics
