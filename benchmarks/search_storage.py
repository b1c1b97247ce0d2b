"""Test which of Optuna's embedded storages survive several writers and kills: `python benchmarks/search_storage.py`.

For each kind: processes that open a new file at the same time; processes that take the same waiting trials, of which
each must be taken exactly once; and writers that are killed (SIGKILL) at random moments, after which the file must
still be readable and writable without a delay.
"""

from __future__ import annotations

import multiprocessing
import random
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalFileSymlinkLock

from farback.stores import studies

PROCESSES = 4
TRIALS = 120
KILLS = 8
SPAWN = multiprocessing.get_context("spawn")


def opened(kind: str, path: Path) -> tuple[Any, Any]:
    """A storage of a kind, and the context manager in which to take a trial."""
    if kind == "sqlite":
        return RDBStorage(f"sqlite:///{path}"), nullcontext()
    if kind == "farback":
        ours = studies.opened(f"sqlite:///{path}")
        return ours.optuna, ours.lock
    lock = JournalFileOpenLock(str(path)) if kind == "journal-open" else JournalFileSymlinkLock(str(path))
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock)), nullcontext()


def touch(kind: str, path: Path, at: float, answers: Any) -> None:
    """Create the study at a given time."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    time.sleep(max(0.0, at - time.time()))
    try:
        optuna.create_study(storage=opened(kind, path)[0], study_name="one", load_if_exists=True)
        answers.put("")
    except Exception as error:
        answers.put(type(error).__name__)


def take(kind: str, path: Path, at: float, answers: Any) -> None:
    """Take and finish waiting trials until none is left."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    opened_storage, alone = opened(kind, path)
    study = optuna.load_study(storage=opened_storage, study_name="one")
    mine, errors = [], []
    time.sleep(max(0.0, at - time.time()))
    while True:
        try:
            with alone:
                waiting = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
                if not waiting:
                    break
                first = waiting[0]
                taken = opened_storage.set_trial_state_values(first._trial_id, optuna.trial.TrialState.RUNNING)
            if taken:
                mine.append(first.number)
                opened_storage.set_trial_user_attr(first._trial_id, "owner", 1)
                study.tell(first.number, 1.0)
        except Exception as error:
            errors.append(type(error).__name__)
    answers.put((mine, errors))


def started(target: Any, kind: str, path: Path, count: int) -> tuple[list[Any], Any]:
    """Processes that begin at the same time."""
    answers = SPAWN.Queue()
    at = time.time() + 4
    processes = [SPAWN.Process(target=target, args=(kind, path, at, answers)) for _ in range(count)]
    for process in processes:
        process.start()
    return processes, answers


def kind_report(kind: str, folder: Path) -> str:
    """One line of the table."""
    processes, answers = started(touch, kind, folder / "fresh", PROCESSES)
    failed = [text for text in (answers.get(timeout=120) for _ in processes) if text]

    path = folder / "taken"
    study = optuna.create_study(storage=opened(kind, path)[0], study_name="one")
    for _ in range(TRIALS):
        study.enqueue_trial({})
    began = time.time() + 4
    processes, answers = started(take, kind, path, PROCESSES)
    found = [answers.get(timeout=300) for _ in processes]
    seconds = time.time() - began
    taken = [number for mine, _ in found for number in mine]
    errors = [error for _, own in found for error in own]
    doubled = len(taken) - len(set(taken))

    path = folder / "kills"
    study = optuna.create_study(storage=opened(kind, path)[0], study_name="one")
    for _ in range(40 * KILLS):
        study.enqueue_trial({})
    random.seed(0)
    stalls, broken = [], ""
    for _ in range(KILLS):
        processes, _ = started(take, kind, path, 2)
        time.sleep(4.3 + random.random())
        for process in processes:
            process.kill()
        began = time.time()
        try:
            study = optuna.load_study(storage=opened(kind, path)[0], study_name="one")
            study.tell(study.ask().number, 1.0)
        except Exception as error:
            broken = f"{type(error).__name__}: {error}"[:90]
            break
        stalls.append(time.time() - began)
    return (
        f"{kind:17} first touch: {len(failed)} of {PROCESSES} failed {set(failed) or ''}; "
        f"taken: {len(taken)} of {TRIALS}, {doubled} doubled, {len(errors)} errors {set(errors) or ''}, "
        f"{1000 * seconds / TRIALS:.0f} ms a trial; "
        f"after {len(stalls)} pairs of kills: {broken or 'sound'}, longest wait {max(stalls, default=0):.1f} s"
    )


def main() -> None:
    """Test every kind of storage."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for kind in sys.argv[1:] or ["sqlite", "journal-symlink", "journal-open", "farback"]:
        with tempfile.TemporaryDirectory() as folder:
            print(kind_report(kind, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
