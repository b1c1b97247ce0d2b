"""The page of an experiment."""

import re
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest

import farback
from farback.experiment import Experiment, Sweep
from farback.records.record import UserError
from farback.report import sized, standard
from farback.report.analysis import Figure, markdown
from farback.report.page import _script
from farback.report.sweep_report import shown
from farback.runs.page import publish
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


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sweep, Memory]:
    folder = tmp_path_factory.mktemp("project")
    (folder / "configs").mkdir()
    (folder / "configs" / "paper.yaml").write_text(CONFIG)
    experiment = Experiment.load(folder / "configs" / "paper.yaml")
    store = Memory()
    farback.run(experiment, workers=1, store=store)
    return experiment, store


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_deleted_folder_is_rebuilt_byte_for_byte(recorded: tuple[Sweep, Memory]) -> None:
    experiment, store = recorded
    folder = publish(experiment, store).report.parent
    before = contents(folder)
    for path in folder.iterdir():
        path.unlink()
    publish(experiment, store)
    assert contents(folder) == before


def test_every_link_of_the_page_leads_somewhere_and_every_figure_has_its_numbers(
    recorded: tuple[Sweep, Memory],
) -> None:
    page = publish(*recorded)
    text = page.report.read_text()
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 5
    for link in links:
        assert (page.report.parent / link).exists(), link
    for figure in page.analysis.figures:
        assert len(pd.read_csv(page.report.parent / f"{figure.name}.csv")) == len(figure.frame)
        assert figure.alt


def test_the_page_asks_the_question_and_says_how_to_reproduce_it(recorded: tuple[Sweep, Memory]) -> None:
    text = publish(*recorded).report.read_text()
    assert "Does the page say it?" in text
    assert "farback run" in text
    assert "10 of 10 trials" in text
    assert str(Path.cwd()) not in text


def test_both_protocols_have_their_table(recorded: tuple[Sweep, Memory]) -> None:
    names = [table.name for table in standard(recorded[1].frame("paper")).tables]
    assert names == ["trainability", "trainability_seeds", "comparisons", "retention_horizons", "sizes"]


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
    assert standard(frame.drop(columns="flops")).tables[-1].name == "retention_horizons"


def test_trials_that_the_config_no_longer_names_are_left_out(recorded: tuple[Sweep, Memory]) -> None:
    experiment, store = recorded
    fewer = Experiment.load(experiment.path, ["seed=0"])
    page = publish(fewer, store)
    assert {row["seeds"] for row in page.analysis.tables[0].frame.to_dict("records")} == {1}
    assert page.report.parent.name == "paper--seed=0"  # beside the page of the config as it stands
    assert "--set seed=0" in page.report.read_text()


def test_nothing_recorded_says_what_to_type(tmp_path: Path, recorded: tuple[Sweep, Memory]) -> None:
    with pytest.raises(UserError, match="farback run"):
        publish(recorded[0], Memory())


def test_a_script_that_needs_every_trial_says_how_many_are_missing(recorded: tuple[Sweep, Memory]) -> None:
    experiment, store = recorded
    trial, some = experiment.trials()[0], Memory()
    with some.begin(experiment.name, experiment.trials()) as recorder:
        recorder.put(Finished(TrialResult(trial.key, scores([("retention", 8, 1, "skill", 1.0)]), "finished")))
    script = experiment.root / "experiments" / "paper.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text("def analyse(scores, ladder):\n    raise ValueError('no trial has lag 4')\n")
    try:
        with pytest.raises(UserError, match=r"1 of \d+ trials .* needs more \(no trial has lag 4\): farback run"):
            publish(experiment, some)
        with pytest.raises(
            UserError, match=r"paper\.py:2: ValueError: no trial has lag 4; what was trained is recorded"
        ):
            publish(experiment, store)  # all are there: the script is wrong
    finally:
        script.unlink()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import pandas\ndef analyse(:\n", r"paper\.py:2: SyntaxError"),
        ("\nimport no_such_package\n", r"paper\.py:2: ModuleNotFoundError: No module named 'no_such_package'"),
        ("PREDICTION = 'It rains.'\n", "has no function analyse"),
    ],
)
def test_a_script_that_cannot_be_used_is_told_in_a_line(text: str, said: str, recorded: tuple[Sweep, Memory]) -> None:
    experiment, store = recorded
    script = experiment.root / "experiments" / "paper.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(text)
    try:
        with pytest.raises(UserError, match=said) as raised:
            publish(experiment, store)
    finally:
        script.unlink()
    assert "\n" not in str(raised.value)


def test_the_starters_script_bears_another_config(recorded: tuple[Sweep, Memory]) -> None:
    """What `farback init` writes is there to be changed: neither its lag nor its networks need be."""
    experiment, store = recorded
    starter = _script(Path(str(files("farback") / "starter" / "experiments" / "first.py")))
    assert starter is not None
    scores = store.frame(experiment.name)
    assert starter.analyse(scores, ()).verdict == standard(scores).verdict
    starter.LONGEST, starter.CHRONO = 2, "memoryless"
    assert len(starter.analyse(scores, ()).verdict) == 2


def test_an_experiment_of_its_own_judges(recorded: tuple[Sweep, Memory]) -> None:
    experiment, store = recorded
    script = experiment.root / "experiments" / "paper.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(
        "from farback.report import Analysis\n"
        "PREDICTION, REFUTED_BY = 'It rains.', 'Sun.'\n"
        "def analyse(scores, ladder):\n"
        "    return Analysis(f'{len(ladder)} rungs', ['**Refuted**: sun.'], [], {'sun': 1.0})\n"
    )
    try:
        text = publish(experiment, store).report.read_text()
    finally:
        script.unlink()
    assert "It rains." in text
    assert "2 rungs" in text  # of recall with two symbols: nothing, and the cue
    assert "- **Refuted**: sun." in text


def test_the_store_gets_the_headline_and_the_files(recorded: tuple[Sweep, Memory]) -> None:
    experiment, store = recorded
    page = publish(experiment, store)
    assert "| network | horizon |" in page.note
    assert page.analysis.metrics
    assert all(path.exists() for path in page.files)
    assert {path.suffix for path in page.files} == {".md", ".html", ".csv", ".png", ".svg"}


def test_the_page_for_the_browser_says_what_the_numbers_rest_on(recorded: tuple[Sweep, Memory]) -> None:
    experiment, store = recorded
    text = publish(experiment, store).html.read_text()
    assert "on recall an accuracy of 0.5 at a loss of 0.693" in text  # of two symbols
    assert "Nothing was searched for" in text
    assert "a stream of its own" in text
    (torch,) = {said["torch"] for said in store.provenance(experiment.name).values()}
    assert f"<dt>torch</dt><dd>{torch}</dd>" in text
    assert "sweep:\n  - cell" in text  # the config itself
    assert f"Made by <code>farback run {experiment.shown}</code>" in text


def test_the_index_has_the_page_and_not_that_of_a_changed_config(recorded: tuple[Sweep, Memory]) -> None:
    experiment, store = recorded
    publish(experiment, store)
    index = experiment.root / "results" / "index.html"
    before = index.read_bytes()
    assert b"paper/report.html" in before
    publish(Experiment.load(experiment.path, ["seed=0"]), store)
    assert index.read_bytes() == before


def test_a_script_can_keep_its_page_out_of_the_index(recorded: tuple[Sweep, Memory]) -> None:
    experiment, store = recorded
    script = experiment.root / "experiments" / "paper.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text("from farback.report import standard as analyse\nLISTED = False\n")
    index = experiment.root / "results" / "index.html"
    index.unlink(missing_ok=True)
    try:
        publish(experiment, store)
    finally:
        script.unlink()
    assert not index.exists()
    publish(experiment, store)
    assert index.exists()


def test_every_parameter_that_varies_tells_groups_apart(recorded: tuple[Sweep, Memory]) -> None:
    frame = recorded[1].frame("paper")
    wider = pd.concat([frame, frame.assign(hidden=8, key=frame["key"] + "x")], ignore_index=True)
    table = standard(wider).tables[0]
    assert set(table.frame.columns[:2]) == {"label", "hidden"}


def test_markdown_keeps_a_bar_in_its_cell() -> None:
    assert markdown(pd.DataFrame({"a|b": ["x|y"]})).splitlines() == ["| a|b |", "| --- |", "| x\\|y |"]


def test_the_shipped_experiments_analyse_what_their_configs_make() -> None:
    """Every Python file has a config of its stem, a prediction and what would refute it."""
    from farback.report.page import _script

    scripts = sorted(Path("experiments").glob("*.py"))
    assert scripts
    for path in scripts:
        module = _script(path)
        assert module is not None
        assert Path("configs", f"{path.stem}.yaml").exists()
        assert module.PREDICTION
        assert module.REFUTED_BY
        assert callable(module.analyse)


def test_a_figure_is_a_picture_with_numbers(recorded: tuple[Sweep, Memory]) -> None:
    parts = standard(recorded[1].frame("paper")).parts
    assert {part.name for part in parts if isinstance(part, Figure)} == {"success", "trainability_forest", "retention"}


def test_lags_stand_in_their_order_where_networks_were_trained_at_different_ones() -> None:
    lags = {"LSTM": (25, 4000), "RNN": (5, 100)}
    success = pd.DataFrame(
        [(label, lag, 3, 4) for label, own in lags.items() for lag in own],
        columns=["label", "lag", "successes", "trials"],
    )
    row = {"seeds": 4, "smallest_lag": 25, "largest_lag": 4000, "horizon": ">= 4000", "estimate": 3251.0, "low": 2304.4}
    row |= {"high": float("inf"), "below": 0, "beyond": 2, "nonmonotone": 0.5, "diverged": 0}
    table = shown(pd.DataFrame([{"label": label, **row} for label in lags]), ["label"], success)
    assert [name for name in table if name.startswith("lag ")] == ["lag 5", "lag 25", "lag 100", "lag 4000"]
    assert table["lag 25"].tolist() == ["3/4", ""]
    assert table["mean, 95 % over seeds"][0] == ">= 3250 (2300 to > 4000)"
