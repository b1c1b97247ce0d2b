"""The components of a project: one file in `parts/` is enough, and another file is another trial."""

from __future__ import annotations

import pickle
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from farback import cells, tasks
from farback.executors.pool import Pool
from farback.experiment import ConfigError, Experiment, schema
from farback.records.entry_points import PluginError
from farback.records.own_files import VARIABLE, source_digest, use_project
from farback.training.loop import train
from farback.trials.cohort import Cohort
from farback.trials.events import Failed, Finished
from farback.trials.trial import Trial

CELL = """\
import torch
from farback.cells.base import GatedCell, recurrent

class Slow(GatedCell):
    '''A leaky unit.'''
    rate: float = 0.1
    def step(self, p, gates_RBG, state):
        new = torch.tanh(gates_RBG + recurrent(state[0], p))
        return (state[0] + self.rate * (new - state[0]),)
"""
CONFIG = """\
name: mine
base: {task: recall, lag: 3, hidden: 4, batch: 4, steps: 2, evaluate_every: 1}
sweep:
  - cell: [slow, elman]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with the cell `slow`, in use."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))  # restored after the test
    write(tmp_path / "parts/cells/slow.py", CELL)
    write(tmp_path / "configs/mine.yaml", CONFIG)
    use_project(tmp_path)
    yield tmp_path
    use_project(tmp_path / "none")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def loaded(project: Path) -> Trial:
    """The first trial of the config, read again."""
    sweep = Experiment.load(project / "configs/mine.yaml")
    return sweep.trials()[0]  # type: ignore[attr-defined, no-any-return]


def problem(project: Path, old: str, new: str) -> str:
    """The error of the config with a text replaced."""
    path = project / "configs/mine.yaml"
    path.write_text(CONFIG.replace(old, new))
    with pytest.raises(ConfigError) as failed:
        Experiment.load(path)
    return str(failed.value)


# Found -----------------------------------------------------------------------------------------------------------


def test_a_file_in_the_folder_is_a_component_without_any_registration(project: Path) -> None:
    assert "slow" in cells.names()
    assert type(cells.build("slow")).__module__ == "parts.cells.slow"
    assert loaded(project).cell.label() == "slow"
    assert "slow" in str(schema()["$defs"]["Grid"]["properties"]["cell"])
    write(project / "parts/cells/other.py", CELL.replace("Slow", "Other"))
    assert cells.build({"name": "other", "rate": 0.5}).label() == "other (rate 0.5)"


def test_files_of_another_project_are_not_found(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    write(other / "configs/mine.yaml", CONFIG)
    with pytest.raises(ConfigError, match="unknown cell 'slow'"):
        Experiment.load(other / "configs/mine.yaml")
    write(other / "parts/cells/slow.py", CELL.replace("0.1", "0.2"))
    assert loaded(other).key != loaded(project).key
    assert (loaded(other).cell.spec()["rate"], loaded(project).cell.spec()["rate"]) == (0.2, 0.1)


def test_a_misspelt_folder_is_named_with_the_right_name(project: Path) -> None:
    (project / "parts/cells").rename(project / "parts/cell")
    hint = "parts/cell is not read: rename it to parts/cells"
    with pytest.raises(ConfigError, match=f"unknown cell 'slow'; .*; {hint}"):
        Experiment.load(project / "configs/mine.yaml")
    with pytest.raises(ValueError, match=hint):
        cells.build("slow")
    with pytest.raises(ValueError, match=r"unknown task 'slow'; [^;]*$"):
        tasks.build("slow")


def test_nothing_is_written_into_the_folder(project: Path) -> None:
    loaded(project)
    assert [path.name for path in (project / "parts").rglob("*")] == ["cells", "slow.py"]


# Identity --------------------------------------------------------------------------------------------------------


def test_an_edited_file_is_another_trial_and_the_old_text_is_the_old_trial(project: Path) -> None:
    """The texts have equal sizes and are written within one second, in which bytecode would pass for up to date."""
    path = project / "parts/cells/slow.py"
    before = loaded(project)
    path.write_text(CELL.replace("torch.tanh", "torch.sinh"))
    after = loaded(project)
    assert after.key != before.key
    p = {"weight_hh": torch.ones(1, 1, 1), "bias_hh": torch.zeros(1, 1)}
    ones = torch.ones(1, 1, 1)
    steps = [trial.cell.step(p, ones, (ones,))[0].item() for trial in (before, after)]
    assert steps == pytest.approx([1 + 0.1 * (f(torch.tensor(2.0)).item() - 1) for f in (torch.tanh, torch.sinh)])
    path.write_text(CELL)
    assert loaded(project).key == before.key


def test_the_keys_of_trials_without_the_file_do_not_depend_on_it(project: Path) -> None:
    plain = {"task": "recall", "lag": 3, "cell": "gru"}
    key = Trial.model_validate(plain).key
    (project / "parts/cells/slow.py").write_text(CELL + "# edited\n")
    loaded(project)
    assert Trial.model_validate(plain).key == key


def test_an_edited_helper_is_another_trial_too(project: Path) -> None:
    helper = write(project / "parts/support/shapes.py", "from .more import SHAPE\n")
    more = write(project / "parts/support/more.py", "import torch\nSHAPE = torch.tanh\n")
    write(project / "parts/support/unused.py", "")
    importing = CELL.replace("import torch\n", "from parts.support.shapes import SHAPE\n", 1)
    write(project / "parts/cells/slow.py", importing.replace("torch.tanh", "SHAPE"))
    keys = [loaded(project).key]
    write(project / "parts/support/unused.py", "EDITED = 1\n")
    assert loaded(project).key == keys[0]
    for path in (helper, more):
        path.write_text(path.read_text() + "EDITED = 1\n")
        keys.append(loaded(project).key)
    assert len(set(keys)) == 3


def test_the_digest_of_a_file_without_imports_of_the_project_is_that_of_its_bytes(tmp_path: Path) -> None:
    import hashlib

    path = write(tmp_path / "data.csv", "a,b\n")
    assert source_digest(path) == hashlib.sha256(b"a,b\n").hexdigest()[:12]


# Pickled for workers ---------------------------------------------------------------------------------------------


def test_a_pickled_trial_is_equal_and_a_file_that_changed_meanwhile_is_an_error(project: Path) -> None:
    trial = loaded(project)
    data = pickle.dumps(trial)
    use_project(project / "elsewhere")
    assert pickle.loads(data).digest() == trial.digest()
    (project / "parts/cells/slow.py").write_text(CELL + "\n")
    with pytest.raises(PluginError, match=r"parts/cells/slow\.py has changed since this run began"):
        pickle.loads(data)
    (project / "parts/cells/slow.py").unlink()
    with pytest.raises(ValueError, match="unknown cell 'slow'"):
        pickle.loads(data)


@pytest.mark.slow
def test_a_worker_process_refuses_a_file_that_changed_since_the_run_began(project: Path) -> None:
    """The trial fails with the reason, and the next trial of the same worker trains."""
    trial, plain = loaded(project), Trial.model_validate({"task": "recall", "lag": 3, "cell": "elman", "steps": 1})
    (project / "parts/cells/slow.py").write_text(CELL + "\n")
    with Pool(1) as pool:
        events = [event for _, event in pool.map(train, [Cohort.of(trial), Cohort.of(plain)])]
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.key == trial.key
    assert failed.error.startswith("PluginError: parts/cells/slow.py has changed since this run began: ")
    assert [event.key for event in events if isinstance(event, Finished)] == [plain.key]


# Mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import torch\ntorhc.tanh\n", r"parts/cells/bad\.py:2: NameError: name 'torhc' is not defined"),
        ("class Bad(:\n", r"parts/cells/bad\.py:1: SyntaxError"),
        ("import nowhere\n", r"parts/cells/bad\.py:1: ModuleNotFoundError"),
        ("import parts.support.bad\n", r"parts/support/bad\.py:1: ZeroDivisionError"),
        ("raise SystemExit\n", r"parts/cells/bad\.py:1: SystemExit"),
        ("", r"parts/cells/bad\.py defines no class that extends farback\.cells\.base\.Cell"),
        (CELL.replace("def step", "def stepp"), r"parts/cells/bad\.py: Slow does not define step"),
        (CELL.replace("rate:", "name: str = 'good'\n    rate:"), r"parts/cells/bad\.py: Slow is called 'good'"),
    ],
    ids=["name", "syntax", "module", "helper", "exit", "empty", "abstract", "renamed"],
)
def test_a_broken_file_is_an_error_where_it_is_used_and_affects_nothing_else(
    project: Path, text: str, message: str
) -> None:
    write(project / "parts/support/bad.py", "1 / 0\n")
    write(project / "parts/cells/bad.py", text)
    assert loaded(project).cell.name == "slow"
    assert "slow" in str(schema())
    with pytest.raises(PluginError, match=message):
        cells.build("bad")
    assert list(cells.FAMILY.broken()) == ["bad"]
    found = problem(project, "slow", "bad")
    assert "mine.yaml:4:12: sweep[0].cell[0]: the cell 'bad' of this project cannot be used: parts/" in found
    write(project / "parts/cells/bad.py", CELL)
    assert loaded(project).cell.name == "bad"


def test_a_name_of_farback_s_own_is_refused_where_it_is_used(project: Path) -> None:
    write(project / "parts/cells/elman.py", CELL)
    found = problem(project, "[slow, elman]", "[slow, gru, elman]")
    assert found.count("\n") == 0
    assert "mine.yaml:4:" in found
    assert "parts/cells/elman.py has the name of a cell of farback's own: rename the file" in found
    (project / "configs/mine.yaml").write_text(CONFIG.replace("elman", "gru"))
    assert loaded(project).cell.name == "slow"
    assert [each.value for each in cells.FAMILY.hidden()] == ["parts/cells/elman.py"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{name: slow, rat: 0.2}", "unknown key 'rat'; did you mean 'rate'?"),
        ("{name: slow, rate: fast}", "must be a number, got 'fast'"),
        ("slwo", "unknown cell 'slwo'; did you mean 'slow'?"),
    ],
)
def test_mistakes_in_the_config_get_the_same_errors_as_for_farback_s_own(
    project: Path, spec: str, message: str
) -> None:
    assert message in problem(project, "slow", spec)


@pytest.mark.parametrize("kind", ["cells", "tasks", "inits", "encoders", "optimizers", "schedules", "measures"])
def test_every_family_has_its_folder(kind: str, project: Path) -> None:
    import importlib

    write(project / f"parts/{kind}/empty.py", "")
    assert "empty" in importlib.import_module(f"farback.{kind}").names()


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    return lambda: [record.getMessage() for record in caplog.records if record.name == "farback"]


def test_a_run_says_that_the_file_has_changed(project: Path, warnings: Callable[[], list[str]]) -> None:
    import farback
    from farback.stores.memory import Memory

    store = Memory()
    for text in (CELL, CELL, CELL + "\n"):
        (project / "parts/cells/slow.py").write_text(text)
        assert warnings() == []
        done = farback.run(project / "configs/mine.yaml", workers=1, store=store, progress=False)
        assert done.failed == 0
    assert (done.trained, done.reused) == (1, 1)
    again = farback.run(project / "configs/mine.yaml", workers=1, store=store, progress=False)
    assert again.trained == 0
    (message,) = warnings()  # not a second time, because nothing was left to train
    assert message.startswith("parts/cells/slow.py has changed since 1 recorded trials of mine were trained with it")
