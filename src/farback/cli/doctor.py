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

    from farback.doctor.checkup import Examination
    from farback.doctor.findings import Finding

MOST = 20  # lines of one check in one experiment; the rest is counted


@app.command()
def doctor(
    config: Annotated[
        str | None, typer.Argument(help="the experiment to look at (default: all of them)", autocompletion=configs)
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="mend what is safe; nothing that counts is deleted")] = False,
    store: StoreURI = None,
    storage: StorageURI = None,
    as_json: Json = False,
) -> None:
    """Check that a store is whole, and say what is not; exit code 1 while a fault is left."""
    from farback.doctor.checkup import Patient, examine
    from farback.stores.locations import located, shown
    from farback.stores.studies import located as study_storage

    root = Path.cwd()
    name = Path(config).stem if config else ""
    patient = Patient(located(store), study_storage(storage, root), root, name)
    found = examine(patient, repair)
    if as_json:
        Printer(as_json).document(_plain(found))
    else:
        echo("\n".join(_text(found, shown(patient.uri), repair)))
    raise typer.Exit(0 if found.is_clean else 1)


def _plain(found: Examination) -> dict[str, object]:
    return {
        "clean": found.is_clean,
        "experiments": found.experiments,
        "trials": found.trials,
        "findings": [finding.plain() for finding in found.findings],
        "mended": [finding.plain() for finding in found.mended],
    }


def _text(found: Examination, store: str, repair: bool) -> list[str]:
    """For people: a line each, by experiment, and at the end what to do."""
    from farback.doctor.findings import counted

    lines = [f"{store}: {counted(found.trials, 'finished trial')} in {counted(found.experiments, 'experiment')}"]
    if found.mended:
        lines += ["", "Mended:", *_listed(found.mended, "was")]
    for experiment in sorted({finding.experiment for finding in found.findings}):
        own = [finding for finding in found.findings if finding.experiment == experiment]
        lines += ["", f"{experiment or 'The store'}:", *_listed(own, "repair" if not repair else "left")]
    return [*lines, "", _last(found, repair)]


def _listed(findings: Sequence[Finding], tense: str) -> list[str]:
    """One line each, the gravest first; of many alike the first ones, and how many more there are."""
    from farback.doctor.findings import SEVERITIES

    lines = []
    kinds = sorted({(SEVERITIES.index(each.severity), each.check) for each in findings})
    for grade, check in kinds:
        alike = [each for each in findings if (SEVERITIES.index(each.severity), each.check) == (grade, check)]
        lines += [_line(each, tense) for each in alike[:MOST]]
        if len(alike) > MOST:
            lines.append(f"  {SEVERITIES[grade]:8}{check}: {len(alike) - MOST} more like these (--json lists all)")
    return lines


def _line(finding: Finding, tense: str) -> str:
    where = f"{finding.where}: " if finding.where else ""
    line = f"  {finding.severity:8}{finding.check}: {where}{finding.what}"
    if finding.remedy:
        says = {"was": "mended", "repair": "--repair" if finding.mends else "to do", "left": "to do"}[tense]
        line += f" [{says}: {finding.remedy}]"
    return line


def _last(found: Examination, repair: bool) -> str:
    """What to do now."""
    from farback.doctor.findings import counted

    wrong = [finding for finding in found.findings if finding.severity != "note"]
    mendable = sum(bool(finding.mends) for finding in wrong)
    again = " `farback run` trains again what was set aside." if any(f.check == "scores" for f in found.mended) else ""
    if not wrong:
        return f"The store is whole.{again}"
    if mendable and not repair:
        rest = ", a person the others" if mendable < len(wrong) else ""
        return f"Found {counted(len(wrong), 'fault')}: `farback doctor --repair` mends {mendable}{rest}."
    return f"Found {counted(len(wrong), 'fault')} that cannot be mended safely: each line says what to do.{again}"
