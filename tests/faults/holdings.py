"""What a store holds, read past farback and MLflow: from the database's tables and the files beside it."""

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

OF_THE_PROCESS = ("owner", "killed")  # tags that say who wrote a run, which is not the same after a kill
PID = "pid"  # in a result's provenance
UNFINISHED = ("*.partial", "*.new", "*.unusable*", "tmp*", ".*")


@dataclass(frozen=True)
class Holdings:
    """What must be the same, however often a run was stopped.

    Attributes:
        scores: bytes of each trial's file of scores, by key.
        about: the file beside it, less the process and the digest.
        metrics: every point of every curve, as often as it is there.
        params: of each trial.
        tags: of each trial, less those that name the process.
        pages: bytes of every file of the page, by name.
        frame: as `farback.frame` gives it, as text.
    """

    scores: dict[str, bytes]
    about: dict[str, object]
    metrics: dict[str, Counter[object]]
    params: dict[str, object]
    tags: dict[str, object]
    pages: dict[str, bytes]
    frame: str

    def differences(self, other: Holdings) -> list[str]:
        """Where two stores differ, for people."""
        found = []
        for field in fields(self):
            ours, theirs = getattr(self, field.name), getattr(other, field.name)
            if isinstance(ours, dict) and ours != theirs:
                keys = [key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key)]
                found.append(f"{field.name}: {keys}, as {_shown(ours, theirs, keys[0])}")
            elif ours != theirs:
                found.append(field.name)
        return found


def _shown(ours: dict[str, object], theirs: dict[str, object], key: str) -> str:
    one, other = ours.get(key), theirs.get(key)
    if isinstance(one, Counter) and isinstance(other, Counter):
        return f"{list((one - other).items())[:5]} against {list((other - one).items())[:5]}"
    if isinstance(one, dict) and isinstance(other, dict):
        names = [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
        return f"{[(name, one.get(name), other.get(name)) for name in names][:5]}"
    return f"{str(one)[:200]} against {str(other)[:200]}"


def held(project: Project, uri: str | None = None) -> Holdings:
    """Read everything.

    Args:
        project: whose.
        uri: of the store, where it is not the project's own file; its database and files are still there.

    Raises:
        AssertionError: a trial has no finished run that counts, or more than one; or a run says that it still runs.
    """
    runs = _runs(project)
    standing = {key: run for run, (key, kind, status) in runs.items() if kind == "trial" and status == "FINISHED"}
    counts = Counter(key for key, kind, status in runs.values() if kind == "trial" and status == "FINISHED")
    twice = {key: number for key, number in counts.items() if number != 1}
    assert not twice, f"runs that count, by trial: {twice}"
    open_runs = project.query("select run_uuid, name from runs where status not in "
                              "('FINISHED', 'FAILED', 'KILLED')")  # fmt: skip
    assert not open_runs, f"runs that say that they still run: {open_runs}"
    beside = [run for run, (_, kind, status) in runs.items() if kind == "trial" and status != "FINISHED"]
    assert not beside, f"runs of trials that count and have not finished: {beside}"
    files = {key: next(project.store.glob(f"artifacts/*/{run}/artifacts")) for key, run in standing.items()}
    about = {key: json.loads((path / "result.json").read_text()) for key, path in files.items()}
    for each in about.values():
        each["provenance"].pop(PID)
        each.pop(DIGEST)  # the process is in it
    return Holdings(
        scores={key: (path / "scores.csv").read_bytes() for key, path in files.items()},
        about=about,
        metrics={key: _metrics(project, run) for key, run in standing.items()},
        params={key: dict(_rows(project, "params", run)) for key, run in standing.items()},
        tags={
            key: {name: text for name, text in _rows(project, "tags", run) if name not in OF_THE_PROCESS}
            for key, run in standing.items()
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
    """How often each trial was trained to its end, whether that run counts or not."""
    return Counter(key for key, _, status in _runs(project).values() if status == "FINISHED")


def of_lost_runs(project: Project) -> list[Path]:
    """Files in folders of runs that went with the end of the database's log: nothing leads there any more.

    `farback doctor` says that there are such folders, and touches none: they may be another database's.
    """
    known = {str(run) for (run,) in project.query("select run_uuid from runs")}
    folders = [folder for folder in project.store.glob("artifacts/*/*") if folder.name not in known]
    return [path for folder in folders for path in folder.rglob("*")]


def check(
    project: Project,
    reference: Holdings,
    *,
    uri: str | None = None,
    once: bool = True,
    aside: Sequence[Path] = (),
) -> None:
    """All that must hold when the command has come to its end.

    Args:
        project: what was hurt.
        reference: what a run holds that was never stopped.
        uri: of the store, where it is not the project's own file.
        once: no trial may have been trained to its end twice, whether both count or not.
        aside: files that were set aside for a reason.
    """
    found = held(project, uri)
    differences = reference.differences(found)
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
    """The doctor finds nothing."""
    target = checkup.Target(uri or _uri(project), study_storage(None, project.root), project.root)
    found = checkup.check(target)
    assert found.is_clean, [issue.plain() for issue in found.issues if issue.severity != "note"]
