"""The content of a store, read from the database and the files without farback and MLflow."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from projects import Project

import farback
from farback.doctor import checkup
from farback.experiment import Experiment
from farback.stores.result_files import DIGEST
from farback.stores.studies import located as study_storage

PROCESS_TAGS = ("owner", "killed")  # tags that name the process, which differs after a kill
PID = "pid"  # in the provenance of a result
UNFINISHED = ("*.partial", "*.new", "*.unusable*", "tmp*", ".*")


@dataclass(frozen=True)
class StoreContent:
    """What faults must not change.

    Attributes:
        scores: the bytes of `scores.csv`, by trial key.
        about: the content of `result.json`, without the process id and the digest.
        metrics: every point of every curve, and how often it was recorded.
        params: of each trial.
        tags: of each trial, without those that name the process.
        pages: the bytes of every file of the page, by name.
        frame: the result of `farback.frame` as CSV.
    """

    scores: dict[str, bytes]
    about: dict[str, object]
    metrics: dict[str, Counter[object]]
    params: dict[str, object]
    tags: dict[str, object]
    pages: dict[str, bytes]
    frame: str

    def differences(self, other: StoreContent) -> list[str]:
        """A line for each part that differs."""
        lines = []
        for field in fields(self):
            ours, theirs = getattr(self, field.name), getattr(other, field.name)
            if isinstance(ours, dict) and ours != theirs:
                keys = [key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key)]
                lines.append(f"{field.name}: {keys}, for example {_difference(ours, theirs, keys[0])}")
            elif ours != theirs:
                lines.append(field.name)
        return lines


def _difference(ours: dict[str, object], theirs: dict[str, object], key: str) -> str:
    one, other = ours.get(key), theirs.get(key)
    if isinstance(one, Counter) and isinstance(other, Counter):
        return f"{list((one - other).items())[:5]} against {list((other - one).items())[:5]}"
    if isinstance(one, dict) and isinstance(other, dict):
        names = [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
        return f"{[(name, one.get(name), other.get(name)) for name in names][:5]}"
    return f"{str(one)[:200]} against {str(other)[:200]}"


def store_content(project: Project, uri: str | None = None) -> StoreContent:
    """Read the content of a project's store and page.

    Args:
        project: with the database and the files.
        uri: of a server in front of the store, if the run used one.

    Raises:
        AssertionError: a trial does not have exactly one finished run, or a run is marked as running.
    """
    runs = _runs(project)
    counted = {key: run for run, (key, kind, status) in runs.items() if kind == "trial" and status == "FINISHED"}
    counts = Counter(key for key, kind, status in runs.values() if kind == "trial" and status == "FINISHED")
    twice = {key: number for key, number in counts.items() if number != 1}
    assert not twice, f"runs that count, by trial: {twice}"
    open_runs = project.query("select run_uuid, name from runs where status not in "
                              "('FINISHED', 'FAILED', 'KILLED')")  # fmt: skip
    assert not open_runs, f"runs marked as running: {open_runs}"
    beside = [run for run, (_, kind, status) in runs.items() if kind == "trial" and status != "FINISHED"]
    assert not beside, f"runs of trials that count and have not finished: {beside}"
    files = {key: next(project.store.glob(f"artifacts/*/{run}/artifacts")) for key, run in counted.items()}
    about = {key: json.loads((path / "result.json").read_text()) for key, path in files.items()}
    for each in about.values():
        each["provenance"].pop(PID)
        each.pop(DIGEST)  # it covers the process id
    return StoreContent(
        scores={key: (path / "scores.csv").read_bytes() for key, path in files.items()},
        about=about,
        metrics={key: _metrics(project, run) for key, run in counted.items()},
        params={key: dict(_rows(project, "params", run)) for key, run in counted.items()},
        tags={
            key: {name: text for name, text in _rows(project, "tags", run) if name not in PROCESS_TAGS}
            for key, run in counted.items()
        },
        pages={path.name: path.read_bytes() for path in sorted((project.results / "small").iterdir())},
        frame=farback.frame("small", store=uri or _uri(project)).to_csv(),
    )


def _runs(project: Project) -> dict[str, tuple[str, str, str]]:
    """Key, kind and status of every run of a trial."""
    rows = project.query(
        "select r.run_uuid, k.value, n.value, r.status from runs r join tags k on k.run_uuid = r.run_uuid"
        " join tags n on n.run_uuid = r.run_uuid where k.key = 'farback.key' and n.key = 'kind'",
    )
    return {str(run): (str(key), str(kind), str(status)) for run, key, kind, status in rows}


def _rows(project: Project, table: str, run: str) -> list[tuple[str, str]]:
    return [(str(a), str(b)) for a, b in project.query(f"select key, value from {table} where run_uuid = ?", run)]


def _metrics(project: Project, run: str) -> Counter[object]:
    sql = "select key, step, value, is_nan from metrics where run_uuid = ?"
    return Counter((name, step, repr(value), flag) for name, step, value, flag in project.query(sql, run))


def _uri(project: Project) -> str:
    return f"sqlite:///{project.database}"


def finished_runs(project: Project) -> Counter[str]:
    """The number of finished runs of each trial, including superseded ones."""
    return Counter(key for key, _, status in _runs(project).values() if status == "FINISHED")


def files_of_lost_runs(project: Project) -> list[Path]:
    """Files of runs that a power loss removed from the database.

    `farback doctor` lists such folders but keeps them, because they may belong to another database.
    """
    known = {str(run) for (run,) in project.query("select run_uuid from runs")}
    folders = [folder for folder in project.store.glob("artifacts/*/*") if folder.name not in known]
    return [path for folder in folders for path in folder.rglob("*")]


def check(
    project: Project,
    reference: StoreContent,
    *,
    uri: str | None = None,
    once: bool = True,
    aside: Sequence[Path] = (),
) -> None:
    """Check everything that must hold after the command has succeeded.

    Args:
        project: after the faults.
        reference: the content after an undisturbed run.
        uri: of a server in front of the store, if the run used one.
        once: whether each trial must have a single finished run.
        aside: files that farback is expected to have set aside.
    """
    differences = reference.differences(store_content(project, uri))
    assert not differences, "\n".join(differences)
    if once:
        twice = {key: number for key, number in finished_runs(project).items() if number > 1}
        assert not twice, f"trained to the end more than once: {twice}"
    assert not project.checkpoints
    left = {path for pattern in UNFINISHED for path in project.results.rglob(pattern)} - set(aside)
    assert not left, f"files left: {left}"
    assert_whole(project, uri)
    config = Experiment.load(project.root / "configs" / "small.yaml")
    again = farback.run(config, workers=1, store=uri or _uri(project))
    assert (again.trained, again.failed, again.reused) == (0, 0, len(reference.scores)), again


def assert_whole(project: Project, uri: str | None = None) -> None:
    """Check that the doctor finds no issue."""
    target = checkup.Target(uri or _uri(project), study_storage(None, project.root), project.root)
    result = checkup.check(target)
    assert result.is_clean, [issue.plain() for issue in result.issues if issue.severity != "note"]
