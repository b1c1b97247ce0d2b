"""Nothing that is loaded is executed: no pickle, no eval, no shell, no YAML that makes objects."""

from __future__ import annotations

import ast
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from farback.doctor.checkup import Target, check
from farback.experiment import Experiment
from farback.runs import sweep
from farback.runs.sweep_page import publish
from farback.stores.mlflow import MLflow
from farback.training import checkpoint_folder

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")])

MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "yaml",
    "xml",
    "imp",
    "runpy",
    "code",
}
NAMES = {"eval", "exec", "compile", "__import__", "input", "breakpoint"}
ATTRIBUTES = {
    *("load", "loads", "Unpickler", "read_pickle", "to_pickle", "read_hdf", "unsafe_load", "full_load", "load_module"),
    *(
        "system",
        "popen",
        "spawnl",
        "spawnv",
        "execv",
        "execve",
        "execvp",
        "exec_module",
        "import_module",
        "import_string",
    ),
    *("getoutput", "getstatusoutput", "load_from_checkpoint", "from_pretrained", "load_model", "hub", "jit"),
}
# What is left, each looked at: file, what, why it cannot run what a stranger wrote.
REVIEWED = {
    (
        "report/experiment_script.py",
        "exec_module",
    ): "experiments/NAME.py is the project's own code, as its Makefile is; docs/security.md",
    (
        "records/component.py",
        "import_module",
    ): "a plug-in of a family's own folder, by a name that stands in its listing",
    (
        "records/parts.py",
        "import_module",
    ): "parts/KIND/NAME.py is the project's own code, as experiments/NAME.py is; docs/security.md",
    ("cells/support/user_class.py", "import_module"): "the class that a config names is the project's own code, too",
    ("kernels/llvm.py", "load"): "an instruction of compiled code: it reads a number of an array",
    ("cli/check.py", "load"): "YAML, safe: plain values",
    ("plots/backend.py", "import_module"): "matplotlib's own backend of notebooks",
    ("records/own_files.py", "exec_module"): "the same: the loader of these files",
    ("records/component.py", "load"): "a plug-in of a package that is installed, by a name that its entry points list",
    ("records/entry_points.py", "load"): "the same: importlib.metadata imports what somebody installed",
    ("cli/plugin_info.py", "import_module"): "farback.PACKAGE.base, for a package from a fixed list",
    ("__init__.py", "import_module"): "a public name of farback, from a fixed list",
    ("tasks/support/array_files.py", "load"): "numpy's, with allow_pickle=False: it refuses Python objects",
    ("tasks/support/array_files.py", "allow_pickle=False"): "the same",
    ("executors/dask.py", "pickle"): "between a driver and its cluster, whose members run code for one another",
    ("executors/dask.py", "loads"): "the same: docs/security.md says to close the cluster with TLS",
    ("executors/dask_worker.py", "pickle"): "the same",
    ("executors/dask_worker.py", "loads"): "the same",
}
OWNERS = {"Experiment", "json", "self.folder"}  # whose `load` reads text or numbers


def suspicious(path: Path) -> Iterator[tuple[str, int]]:
    """What could execute something, and its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            yield from ((item.name, line) for item in node.names if item.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            yield str(node.module), line
        elif isinstance(node, ast.Name) and node.id in NAMES:
            yield node.id, line
        elif isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
            if ast.unparse(node.value) not in OWNERS and (node.attr != "system" or ast.unparse(node.value) == "os"):
                yield node.attr, line
        elif isinstance(node, ast.Call):
            for word in node.keywords:
                if word.arg in ("shell", "allow_pickle", "weights_only"):
                    yield f"{word.arg}={ast.unparse(word.value)}", line
                if word.arg == "typ" and ast.unparse(word.value) not in ("'safe'", '"safe"'):
                    yield f"typ={ast.unparse(word.value)}", line
            if ast.unparse(node.func).endswith("YAML") and not any(word.arg == "typ" for word in node.keywords):
                yield "YAML() without typ", line


def test_no_source_executes_what_it_reads() -> None:
    found = {}
    for path in SOURCES:
        name = str(path.relative_to(ROOT)).removeprefix("src/farback/")
        found |= {(name, what): line for what, line in suspicious(path)}
    assert {key: line for key, line in found.items() if key not in REVIEWED} == {}
    assert REVIEWED.keys() <= found.keys()  # a review of nothing is wrong


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "eval(text)",
        "np.load(path, allow_pickle=True)",
        "subprocess.run(text, shell=True)",
        "YAML().load(text)",
        "YAML(typ='unsafe')",
        "os.system(text)",
        "pd.read_pickle(path)",
    ],
)
def test_the_search_sees_what_it_looks_for(code: str, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(code)
    assert list(suspicious(path))


class Boom:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


CONFIG = """\
name: tiny
base: {task: {name: recall, symbols: 2}, cell: elman, hidden: 2, batch: 2, steps: 2, evaluate_every: 1}
sweep: [{lag: [1, 2]}]
"""


def test_a_store_full_of_pickles_runs_none_of_them(tmp_path: Path, with_store: Callable[[Path], Path]) -> None:
    """Whoever can write to the artifacts can spoil results, which is said; they cannot run code."""
    mark = tmp_path / "was-here"
    bomb = pickle.dumps(Boom(mark))
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG)
    uri = f"sqlite:///{with_store(tmp_path)}"
    assert sweep.run(path, workers=1, store=uri).trained == 2
    files = [item for item in (tmp_path / "results" / "store" / "artifacts").rglob("*") if item.is_file()]
    assert files
    for item in files:
        item.write_bytes(bomb)
        for name in ("model.pkl", "python_model.pkl", "MLmodel", "data.npy", "state.pt", "scores.parquet"):
            (item.parent / name).write_bytes(bomb)
    experiment = Experiment.load(path)
    kept = checkpoint_folder.CheckpointFolder.of(tmp_path, "tiny", 60.0)
    kept.path.mkdir(parents=True)
    for key in [trial.key for trial in experiment.trials()] + ["0123456789abcdef"]:
        for ending in ("safetensors", "pt", "unusable"):
            (kept.path / f"{key}.{ending}").write_bytes(bomb)
    target = Target(uri, f"sqlite:///{tmp_path}/results/store/optuna.db", tmp_path)
    assert not check(target).is_clean
    check(target, repair=True)
    assert not mark.exists()
    with MLflow(uri) as store, pytest.raises((ValueError, OSError)):
        publish(experiment, store)
    sweep.run(path, workers=1, store=uri)
    assert not mark.exists()
    pickle.loads(bomb)  # it does go off where something unpickles it
    assert mark.exists()
