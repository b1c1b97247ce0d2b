"""Notes on a page about the versions with which its trials were made."""

import pytest

import farback
from farback.experiment import Experiment, Sweep
from farback.records.user_error import UserError
from farback.report.provenance_note import made_with, origins
from farback.runs.sweep_page import publish
from farback.stores.memory import Memory
from farback.system.provenance import VERSIONS, deciding, versions
from farback.trials.events import Finished, TrialResult, scores

NOW = {"torch": "2.13.0", "numpy": "2.4.6"}
MADE = {**NOW, "cpu_features": "aaaa"}

CONFIG = """
name: mixed
question: Who made these?
base:
  task: {name: recall, symbols: 2, filler: blank}
  hidden: 4
  batch: 8
  steps: 4
  evaluate_every: 2
sweep:
  - cell: [elman, memoryless]
    lag: [1, 2]
    seed: {range: 2}
"""
SCRIPT = """
from farback.report import Analysis
def analyse(scores, ladder):
    return Analysis("One.", ["Two."])
"""


def test_there_is_no_note_if_all_trials_have_the_installed_versions() -> None:
    assert origins([MADE] * 3, NOW) == ""
    assert origins([], NOW) == ""


def test_versions_that_an_earlier_release_did_not_record_are_ignored() -> None:
    assert origins([MADE, {"torch": "2.13.0"}], NOW) == ""


def test_the_page_does_not_depend_on_the_processor_that_writes_it() -> None:
    """The note compares versions only; a page is the same on every machine."""
    assert set(versions()) == {*VERSIONS, "mlflow"}
    assert set(deciding(versions())) == set(VERSIONS)  # mlflow records numbers and does not compute them
    assert origins([MADE], versions() | NOW) == ""


def test_other_versions_than_those_installed_are_named_with_how_many_trials_they_made() -> None:
    text = origins([{**MADE, "torch": "2.6.0"}] * 5, NOW)
    assert text.startswith("**Made by other versions than are installed now.**")
    assert "| trials | torch |" in text
    assert "| 5 | 2.6.0 |" in text
    assert "| installed now | 2.13.0 |" in text
    assert "numpy" not in text


def test_the_table_has_only_the_entries_that_differ() -> None:
    text = origins([MADE, {**MADE, "cpu_features": "bbbb"}, MADE, {"torch": "2.13.0"}], NOW)
    assert text.startswith("**Made by more than one set of versions or processor features.**")
    lines = text.splitlines()[2:]
    assert lines == [
        "| trials | cpu_features |",
        "| --- | --- |",
        "| 2 | aaaa |",
        "| 1 | bbbb |",
        "| 1 | not recorded |",
    ]


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    folder = tmp_path_factory.mktemp("project")
    (folder / "configs").mkdir()
    (folder / "configs" / "mixed.yaml").write_text(CONFIG)
    (folder / "experiments").mkdir()
    (folder / "experiments" / "mixed.py").write_text(SCRIPT)
    return Experiment.load(folder / "configs" / "mixed.yaml")


@pytest.fixture(scope="module")
def store(experiment: Sweep) -> Memory:
    memory = Memory()
    farback.run(experiment, workers=1, store=memory)
    return memory


def made_elsewhere(experiment: Sweep, store: Memory, count: int, **provenance: str) -> Memory:
    """The same results, of which the first `count` have another provenance."""
    other = Memory()
    trials = experiment.trials()
    entry = store.experiments[experiment.name]
    with other.begin(experiment.name, trials) as recorder:
        for index, trial in enumerate(trials):
            own = entry.provenance[trial.key] | (provenance if index < count else {})
            recorded = entry.results[trial.key]
            recorder.put(Finished(TrialResult(trial.key, scores(recorded.rows), "finished", own)))
    return other


def test_a_page_has_the_note_and_otherwise_keeps_its_bytes(experiment: Sweep, store: Memory) -> None:
    page = publish(experiment, store)
    plain, note = page.report.read_bytes(), page.note
    assert b"Made by" not in plain
    again = publish(experiment, made_elsewhere(experiment, store, 8, pid="1", cpu="another model"))
    assert (again.report.read_bytes(), again.note) == (plain, note)
    mixed = publish(experiment, made_elsewhere(experiment, store, 3, torch="1.0", cpu_features="feed"))
    text = mixed.report.read_text()
    assert "**Made by more than one set of versions or processor features.**" in text
    assert "| 3 | 1.0 | feed |" in text
    assert "| 3 | 1.0 | feed |" in mixed.note
    start = text.index("**Made by")
    assert (text[:start] + text[text.index("8 of 8 trials") :]).encode() == plain


def test_trials_that_the_config_does_not_have_are_ignored(experiment: Sweep, store: Memory) -> None:
    fewer = Experiment.load(experiment.path, ["seed=1"])
    first = made_elsewhere(experiment, store, 1, torch="1.0")
    assert experiment.trials()[0].seed == 0
    assert "Made by" not in publish(fewer, first).report.read_text()
    with pytest.raises(UserError, match="farback run"):
        publish(fewer, Memory())


def test_made_with_lists_several_values_the_most_frequent_first() -> None:
    trials = [{"torch": "2", "cpu": "b"}, {"torch": "2", "cpu": "b"}, {"torch": "2", "cpu": "a"}, {"torch": "2"}]
    assert made_with(trials, ("torch", "numpy", "cpu")) == {"torch": "2", "cpu": "b; a"}
    assert made_with([], ("torch",)) == {}
