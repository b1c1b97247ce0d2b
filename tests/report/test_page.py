"""The page of an experiment."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest

import farback
from farback.experiment import Experiment, Sweep
from farback.records.user_error import UserError
from farback.report import sized
from farback.report.analysis import Analysis, Figure, markdown
from farback.report.experiment_script import experiment_module
from farback.report.group_columns import groups, rows_with
from farback.report.horizon_texts import listed
from farback.report.page import Page
from farback.report.sweep_report import NO_PREDICTION, shown
from farback.runs.sweep_page import publish
from farback.stores.memory import Memory
from farback.trials.events import Finished, TrialResult, scores

CONFIG = """
name: paper
question: Does the page say it?
base:
  task: {name: recall, symbols: 2, filler: blank}
  hidden: 4
  batch: 8
  steps: 8
  evaluate_every: 4
  measures: [{name: retention, lags: [1, 2, 4], sequences: 50}]
sweep:
  - cell: [{name: elman}, {name: memoryless}]
    lag: [1, 2]
    seed: {range: 2}
  - cell: [{name: elman}]
    train_lags: [{uniform: [1, 4]}]
    seed: {range: 2}
"""
SEEDS = """
from farback.report import Analysis
def analyse(scores, ladder):
    return Analysis(f"{scores['seed'].nunique()} seeds", ["One."])
"""


def project(folder: Path) -> Sweep:
    """The experiment of a new project."""
    for name in ("configs", "experiments"):
        (folder / name).mkdir()
    (folder / "configs" / "paper.yaml").write_text(CONFIG)
    return Experiment.load(folder / "configs" / "paper.yaml")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sweep, Memory]:
    experiment = project(tmp_path_factory.mktemp("project"))
    store = Memory()
    farback.run(experiment, workers=1, store=store)
    return experiment, store


@pytest.fixture(scope="module")
def page(recorded: tuple[Sweep, Memory]) -> Page:
    """The page of the config, written once."""
    return publish(*recorded)


@pytest.fixture
def experiment(tmp_path: Path) -> Sweep:
    """The same experiment in a project of this test, which may write its script."""
    return project(tmp_path)


def script(experiment: Sweep, text: str) -> None:
    (experiment.root / "experiments" / "paper.py").write_text(text)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_deleted_folder_is_rebuilt_byte_for_byte(recorded: tuple[Sweep, Memory], page: Page) -> None:
    folder = page.report.parent
    before = contents(folder)
    for path in folder.iterdir():
        path.unlink()
    publish(*recorded)
    assert contents(folder) == before


def test_every_link_of_the_page_has_a_target_and_every_figure_has_its_numbers(page: Page) -> None:
    text = page.report.read_text()
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 5
    for link in links:
        assert (page.report.parent / link).exists(), link
    for figure in page.analysis.figures:
        assert len(pd.read_csv(page.report.parent / f"{figure.name}.csv")) == len(figure.frame)
        assert figure.alt


def test_the_page_has_the_question_and_the_commands_to_reproduce_it(page: Page) -> None:
    text = page.report.read_text()
    assert "Does the page say it?" in text
    assert "farback run" in text
    assert "10 of 10 trials" in text
    assert str(Path.cwd()) not in text


def test_both_protocols_have_their_table(page: Page) -> None:
    names = [table.name for table in page.analysis.tables]
    assert names == ["trainability", "comparisons", "retention_horizons", "sizes"]


def test_sizes_are_left_out_where_some_trial_was_recorded_without(recorded: tuple[Sweep, Memory]) -> None:
    frame = recorded[1].frame("paper")
    (table,) = sized(frame)
    assert table.shown.columns.tolist() == ["network", "hidden", "parameters", "numbers of state", "FLOPs a step"]
    assert table.shown["hidden"].tolist() == ["4", "4"]
    trial = recorded[0].trials()[0]
    row = table.frame[table.frame["label"] == trial.label].iloc[0]
    assert {name: int(row[name]) for name in ("parameters", "state", "flops")} == trial.architecture.counts
    older = frame["key"] == trial.key
    assert sized(frame.assign(flops=frame["flops"].mask(older))) == []
    assert sized(frame.drop(columns="flops")) == []
    (table,) = sized(frame.assign(hidden=float("nan")))  # of a whole network of the user's
    assert set(table.shown["hidden"]) == {""}


def test_a_changed_config_has_its_own_page_with_its_own_trials_and_is_not_in_the_index(
    recorded: tuple[Sweep, Memory], experiment: Sweep
) -> None:
    script(experiment, SEEDS)
    page = publish(experiment, recorded[1])
    assert page.analysis.headline == "2 seeds"
    index = page.report.parents[1] / "index.html"
    before = index.read_bytes()
    assert b"paper/report.html" in before
    changed = publish(Experiment.load(experiment.path, ["seed=0"]), recorded[1])
    assert changed.analysis.headline == "1 seeds"
    assert changed.report.parent.name == "paper--seed=0"
    assert "--set seed=0" in changed.report.read_text()
    assert index.read_bytes() == before


def test_without_recorded_trials_the_error_has_the_command(tmp_path: Path, recorded: tuple[Sweep, Memory]) -> None:
    with pytest.raises(UserError, match="farback run"):
        publish(recorded[0], Memory())


def test_a_script_that_needs_every_trial_says_how_many_are_missing(
    recorded: tuple[Sweep, Memory], experiment: Sweep
) -> None:
    store = recorded[1]
    trial, some = experiment.trials()[0], Memory()
    with some.begin(experiment.name, experiment.trials()) as recorder:
        recorder.put(Finished(TrialResult(trial.key, scores([("retention", 8, 1, "skill", 1.0)]), "finished")))
    script(experiment, "def analyse(scores, ladder):\n    raise ValueError('no trial has lag 4')\n")
    with pytest.raises(
        UserError, match=r"1 of \d+ trials .* needs more \(no trial has lag 4\); train the rest with: farback run"
    ):
        publish(experiment, some)
    with pytest.raises(UserError, match=r"paper\.py:2: ValueError: no trial has lag 4; the trained networks are recor"):
        publish(experiment, store)  # every trial is recorded: the script is wrong


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import pandas\ndef analyse(:\n", r"paper\.py:2: SyntaxError"),
        ("\nimport no_such_package\n", r"paper\.py:2: ModuleNotFoundError: No module named 'no_such_package'"),
        ("PREDICTION = 'It rains.'\n", "has no function analyse"),
    ],
)
def test_an_unusable_script_is_an_error_of_one_line(
    text: str, message: str, recorded: tuple[Sweep, Memory], experiment: Sweep
) -> None:
    script(experiment, text)
    with pytest.raises(UserError, match=message) as raised:
        publish(experiment, recorded[1])
    assert "\n" not in str(raised.value)


def test_the_starters_script_works_with_another_config(
    recorded: tuple[Sweep, Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users change the config that `farback init` writes: its lag and its networks may be missing."""
    experiment, store = recorded
    starter = experiment_module(Path(str(files("farback") / "starter" / "experiments" / "first.py")))
    assert starter is not None
    monkeypatch.setattr(starter, "standard", lambda scores, ladder: Analysis("One.", [NO_PREDICTION]))
    scores = store.frame(experiment.name)
    assert starter.analyse(scores, ()).verdict == [NO_PREDICTION]
    monkeypatch.setattr(starter, "LONGEST", 2)
    monkeypatch.setattr(starter, "CHRONO", "memoryless")
    assert len(starter.analyse(scores, ()).verdict) == 2


def test_the_experiments_script_writes_the_verdict(recorded: tuple[Sweep, Memory], experiment: Sweep) -> None:
    script(
        experiment,
        "from farback.report import Analysis\n"
        "PREDICTION, REFUTED_BY = 'It rains.', 'Sun.'\n"
        "def analyse(scores, ladder):\n"
        "    return Analysis(f'{len(ladder)} rungs', ['**Refuted**: sun.'], [], {'sun': 1.0})\n",
    )
    text = publish(experiment, recorded[1]).report.read_text()
    assert "It rains." in text
    assert "2 rungs" in text  # of recall with two symbols: nothing, and the cue
    assert "- **Refuted**: sun." in text


def test_the_store_gets_the_headline_and_the_files(page: Page) -> None:
    assert "| network | horizon |" in page.note
    assert page.analysis.metrics
    assert all(path.exists() for path in page.files)
    assert {path.suffix for path in page.files} == {".md", ".html", ".csv", ".png", ".svg"}


def test_the_page_for_the_browser_has_chance_levels_versions_and_the_config(
    recorded: tuple[Sweep, Memory], page: Page
) -> None:
    experiment, store = recorded
    text = page.html.read_text()
    assert "on recall an accuracy of 0.5 at a loss of 0.693" in text  # of two symbols
    assert "Nothing was tuned for" in text
    assert "a separate random stream" in text
    (torch,) = {recorded["torch"] for recorded in store.provenance(experiment.name).values()}
    assert f"<dt>torch</dt><dd>{torch}</dd>" in text
    assert "sweep:\n  - cell" in text  # the config itself
    assert f"Made by <code>farback run {experiment.shown}</code>" in text


def test_a_script_can_keep_its_page_out_of_the_index(recorded: tuple[Sweep, Memory], experiment: Sweep) -> None:
    index = experiment.root / "results" / "index.html"
    script(experiment, f"{SEEDS}LISTED = False\n")
    publish(experiment, recorded[1])
    assert not index.exists()
    script(experiment, SEEDS)
    publish(experiment, recorded[1])
    assert index.exists()


def test_every_parameter_that_varies_makes_groups(recorded: tuple[Sweep, Memory]) -> None:
    frame = recorded[1].frame("paper")
    wider = pd.concat([frame, frame.assign(hidden=8, key=frame["key"] + "x")], ignore_index=True)
    assert groups(frame) == ["label"]
    assert groups(wider) == ["label", "hidden"]


def test_markdown_keeps_a_bar_in_its_cell() -> None:
    assert markdown(pd.DataFrame({"a|b": ["x|y"]})).splitlines() == ["| a|b |", "| --- |", "| x\\|y |"]


def test_every_shipped_script_has_a_config_and_a_prediction() -> None:
    scripts = sorted(Path("experiments").glob("*.py"))
    assert scripts
    for path in scripts:
        module = experiment_module(path)
        assert module is not None
        assert Path("configs", f"{path.stem}.yaml").exists()
        assert module.PREDICTION
        assert module.REFUTED_BY
        assert callable(module.analyse)


def test_the_page_has_the_figures_of_both_protocols(page: Page) -> None:
    parts = page.analysis.parts
    names = {"success", "trainability_forest", "retention", "retention_forest"}
    assert {part.name for part in parts if isinstance(part, Figure)} == names


def test_lag_columns_are_in_order_if_networks_have_different_training_lags() -> None:
    lags = {"LSTM": (25, 4000), "RNN": (5, 100)}
    success = pd.DataFrame(
        [(label, lag, 3, 4) for label, own in lags.items() for lag in own],
        columns=["label", "lag", "successes", "trials"],
    )
    row = {"seeds": 4, "trainings": 8, "smallest_lag": 25, "largest_lag": 4000, "fits": True, "diverged": 0}
    row |= {"horizon": "at least 4000 (95 %: from 2300)", "isotonic": 3251.0, "isotonic_low": 0.0}
    row |= {"isotonic_high": float("inf")}
    table = shown(pd.DataFrame([{"label": label, **row} for label in lags]), ["label"], success)
    assert [name for name in table if name.startswith("lag ")] == ["lag 5", "lag 25", "lag 100", "lag 4000"]
    assert table["lag 25"].tolist() == ["3/4", ""]
    assert table["horizon"][0] == "at least 4000, the limit asked (95 %: from 2300)"
    assert table["without a model"][0] == "3251 (below 25 to beyond 4000)"


def test_a_group_with_a_missing_value_has_its_rows_and_is_listed() -> None:
    horizons = pd.DataFrame({"label": ["GRU", "GRU"], "match": [None, "a"], "horizon": ["28 (20 to 40)", "below 5"]})
    assert listed(horizons, ["label", "match"]).count("GRU, ") == 2
    for row in horizons.to_dict("records"):
        assert rows_with(horizons, {"match": row["match"]})["horizon"].tolist() == [row["horizon"]]


@pytest.mark.parametrize("question", ["", "How far\nback?"])
def test_a_page_has_one_heading_whatever_its_question_is(question: str, tmp_path: Path) -> None:
    path = tmp_path / "paper.yaml"
    text = CONFIG.replace("question: Does the page say it?", f"question: {json.dumps(question)}")
    path.write_text(
        text.replace("cell: [{name: elman}, {name: memoryless}]", "cell: [memoryless]").split(
            "  - cell: [{name: elman}]"
        )[0]
    )
    experiment, store = Experiment.load(path), Memory()
    assert isinstance(experiment, Sweep)
    farback.run(experiment, workers=1, store=store)
    page = publish(experiment, store)
    one_line = "How far back?"
    assert page.report.read_text().splitlines()[0] == (f"# paper: {one_line}" if question else "# paper")
    html = page.html.read_text()
    assert f"<h1>{one_line if question else 'paper'}</h1>" in html
    assert page.note.startswith(f"**{one_line if question else 'paper'}**\n")
