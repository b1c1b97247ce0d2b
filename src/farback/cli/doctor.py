"""`farback doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farback.cli.app import Json, StorageURI, StoreURI, app
from farback.cli.completion import configs
from farback.cli.console import Printer, echo

if TYPE_CHECKING:  # as in `running`: `--help` stays quick
    from collections.abc import Sequence

    from farback.doctor.checkup import Checkup
    from farback.doctor.issues import Issue

MOST = 20  # lines of one check in one experiment; the rest is counted


@app.command()
def doctor(
    config: Annotated[
        str | None, typer.Argument(help="the experiment to look at (default: all of them)", autocompletion=configs)
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="repair what is safe; no result is deleted")] = False,
    store: StoreURI = None,
    storage: StorageURI = None,
    as_json: Json = False,
) -> None:
    """Check that a store is intact, and list what is not; exit code 1 while something is wrong."""
    from farback.doctor.checkup import Target, check
    from farback.stores.locations import located, shown
    from farback.stores.studies import located as study_storage

    root = Path.cwd()
    name = Path(config).stem if config else ""
    target = Target(located(store), study_storage(storage, root), root, name)
    found = check(target, repair)
    if as_json:
        Printer(as_json).document(_plain(found))
    else:
        echo("\n".join(_text(found, shown(target.uri), repair)))
    raise typer.Exit(0 if found.is_clean else 1)


def _plain(found: Checkup) -> dict[str, object]:
    return {
        "clean": found.is_clean,
        "experiments": found.experiments,
        "trials": found.trials,
        "issues": [issue.plain() for issue in found.issues],
        "repaired": [issue.plain() for issue in found.repaired],
    }


def _text(found: Checkup, store: str, repair: bool) -> list[str]:
    """For people: a line each, by experiment, and at the end what to do."""
    from farback.doctor.issues import counted

    lines = [f"{store}: {counted(found.trials, 'finished trial')} in {counted(found.experiments, 'experiment')}"]
    if found.repaired:
        lines += ["", "Repaired:", *_listed(found.repaired, "was")]
    for experiment in sorted({issue.experiment for issue in found.issues}):
        own = [issue for issue in found.issues if issue.experiment == experiment]
        lines += ["", f"{experiment or 'The store'}:", *_listed(own, "repair" if not repair else "left")]
    return [*lines, "", _last(found, repair)]


def _listed(issues: Sequence[Issue], tense: str) -> list[str]:
    """One line each, the gravest first; of many alike the first ones, and how many more there are."""
    from farback.doctor.issues import SEVERITIES

    lines = []
    kinds = sorted({(SEVERITIES.index(each.severity), each.check) for each in issues})
    for grade, check in kinds:
        alike = [each for each in issues if (SEVERITIES.index(each.severity), each.check) == (grade, check)]
        lines += [_line(each, tense) for each in alike[:MOST]]
        if len(alike) > MOST:
            lines.append(f"  {SEVERITIES[grade]:8}{check}: {len(alike) - MOST} more like these (--json lists all)")
    return lines


def _line(issue: Issue, tense: str) -> str:
    where = f"{issue.where}: " if issue.where else ""
    line = f"  {issue.severity:8}{issue.check}: {where}{issue.what}"
    if issue.remedy:
        says = {"was": "repaired", "repair": "--repair" if issue.repairs else "to do", "left": "to do"}[tense]
        line += f" [{says}: {issue.remedy}]"
    return line


def _last(found: Checkup, repair: bool) -> str:
    """What to do now."""
    from farback.doctor.issues import counted

    wrong = [issue for issue in found.issues if issue.severity != "note"]
    fixable = sum(bool(issue.repairs) for issue in wrong)
    again = (
        " `farback run` trains again what was set aside." if any(i.check == "scores" for i in found.repaired) else ""
    )
    if not wrong:
        return f"The store is intact.{again}"
    if fixable and not repair:
        rest = "; the rest need manual action" if fixable < len(wrong) else ""
        return f"Found {counted(len(wrong), 'fault')}: `farback doctor --repair` fixes {fixable}{rest}."
    return f"Found {counted(len(wrong), 'fault')} that cannot be repaired safely: each line says what to do.{again}"
