"""`farback doctor`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farback.cli import shared_options as shared
from farback.cli.completion import configs
from farback.cli.console import Printer, echo

if TYPE_CHECKING:  # importing these at run time would slow `--help` down
    from collections.abc import Sequence

    from farback.doctor.checkup import Checkup
    from farback.doctor.issues import Issue
    from farback.experiment import Sweep
    from farback.trials.trial import Trial

MOST = 20  # most lines per check and experiment; further issues are only counted


def doctor(
    config: Annotated[
        str | None, typer.Argument(help="the experiment to check (default: all)", autocompletion=configs)
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="repair what is safe; no result is deleted")] = False,
    store: shared.StoreURI = None,
    storage: shared.StorageURI = None,
    as_json: shared.Json = False,
) -> None:
    """Check that a store is intact, and list its issues; exit code 1 if there are any."""
    from farback.doctor.checkup import Target, check
    from farback.stores.locations import located, named
    from farback.stores.studies import located as study_storage
    from farback.system.project import project_folder

    root = project_folder()
    name = Path(config).stem if config else ""
    target = Target(located(store), study_storage(storage, root), root, name, partial(_trials, located(store)))
    checkup = check(target, repair)
    if as_json:
        Printer(as_json).document(_document(checkup))
    else:
        echo("\n".join(_text(checkup, named(target.uri), repair)))
    raise typer.Exit(0 if checkup.is_clean else 1)


def _trials(store: str, sweep: Sweep) -> Sequence[Trial]:
    """The trials of a sweep; with adaptive lags, those that follow from the recorded outcomes, as on its page."""
    from farback.runs.schedule import missing_from_store
    from farback.stores import open_store

    listed = sweep.trials()
    if not sweep.chosen(listed):
        return listed
    with open_store(store, sweep.root) as opened:
        return missing_from_store(opened, sweep, listed).trials


def _document(checkup: Checkup) -> dict[str, object]:
    return {
        "clean": checkup.is_clean,
        "experiments": checkup.experiments,
        "trials": checkup.trials,
        "issues": [issue.plain() for issue in checkup.issues],
        "repaired": [issue.plain() for issue in checkup.repaired],
    }


def _text(checkup: Checkup, store: str, repair: bool) -> list[str]:
    """One line per issue, grouped by experiment; the last line says what to do."""
    from farback.records.counted_nouns import counted

    lines = [f"{store}: {counted(checkup.trials, 'finished trial')} in {counted(checkup.experiments, 'experiment')}"]
    if checkup.repaired:
        lines += ["", "Repaired:", *_lines(checkup.repaired, "repaired", "repaired")]
    for experiment in sorted({issue.experiment for issue in checkup.issues}):
        own = [issue for issue in checkup.issues if issue.experiment == experiment]
        lines += ["", f"{experiment or 'The store'}:", *_lines(own, "to do" if repair else "--repair", "to do")]
    return [*lines, "", _advice(checkup, repair)]


def _lines(issues: Sequence[Issue], repairable: str, manual: str) -> list[str]:
    """One line per issue, the most severe first; at most `MOST` lines for each check.

    `repairable` is the word before a remedy that `--repair` can apply, `manual` the word before any other remedy.
    """
    from farback.doctor.issues import SEVERITIES

    lines = []
    kinds = sorted({(SEVERITIES.index(each.severity), each.check) for each in issues})
    for rank, check in kinds:
        alike = [each for each in issues if (SEVERITIES.index(each.severity), each.check) == (rank, check)]
        for each in alike[:MOST]:
            where = f"{each.where}: " if each.where else ""
            remedy = f" [{repairable if each.repairs else manual}: {each.remedy}]" if each.remedy else ""
            lines.append(f"  {each.severity:8}{check}: {where}{each.what}{remedy}")
        if len(alike) > MOST:
            lines.append(f"  {SEVERITIES[rank]:8}{check}: {len(alike) - MOST} more like these (--json lists all)")
    return lines


def _advice(checkup: Checkup, repair: bool) -> str:
    """How many issues there are, and what to do about them."""
    from farback.records.counted_nouns import counted

    faults = [issue for issue in checkup.issues if issue.severity != "note"]
    count, repairable = counted(len(faults), "fault"), sum(bool(issue.repairs) for issue in faults)
    set_aside = any(issue.check == "scores" for issue in checkup.repaired)
    retrain = " `farback run` trains the trials with damaged results again." if set_aside else ""
    if not faults:
        return f"The store is intact.{retrain}"
    if repairable and not repair:
        rest = "; the rest need manual action" if repairable < len(faults) else ""
        return f"Found {count}: `farback doctor --repair` fixes {repairable}{rest}."
    return f"Found {count} that cannot be repaired safely: each line says what to do.{retrain}"
