"""`farback calibrate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farback.cli.app import Json, app
from farback.cli.console import Printer, page_document

if TYPE_CHECKING:  # as in `running`: `--help` stays quick
    from farback.measures.known import Check

WIDE = 120  # characters that all columns need


@app.command()
def calibrate(
    output: Annotated[Path, typer.Option(help="the folder to write")] = Path("results/calibrate"),
    as_json: Json = False,
) -> None:
    """Hold the ruler against systems whose memory is known; exit code 1 when a number is off."""
    import pandas as pd
    from rich.progress import track

    from farback import measures
    from farback.measures.known import CASES, check_all
    from farback.report.calibration import write_calibration

    console = Printer(as_json)
    found: list[Check] = []
    steps = track(
        check_all(measures),
        "measuring known systems",
        len(CASES),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    for _, checks in steps:
        found += checks
    _print(console, found)
    rows = [{**asdict(check), "error": check.error, "holds": check.holds} for check in found]
    page = write_calibration(pd.DataFrame(rows), output)
    console.print(page.analysis.headline, highlight=False)
    off = [check for check in found if not check.holds]
    console.document({"checks": rows, "off": len(off), **page_document(page)})
    console.places(page)
    if off:
        console.print(f"{len(off)} checks are off", style="red")
        raise typer.Exit(1)


def _print(console: Printer, checks: list[Check]) -> None:
    """Every check, what is off in red; a narrow terminal does without the names of the measures and the tolerances."""
    from rich.table import Table

    from farback.report.calibration import number

    wide = console.width >= WIDE
    printed = Table(title="The ruler on systems whose memory is known", title_justify="left")
    for name in ("system", *(["measure"] if wide else []), "quantity"):
        printed.add_column(name, overflow="fold")
    for name in ("expected", "measured", "error", *(["tolerance"] if wide else [])):
        printed.add_column(name, justify="right", no_wrap=True)
    for check in checks:
        names = [check.system, *([check.measure] if wide else []), check.quantity]
        values = [number(check.expected), number(check.measured), f"{check.error:.1g}"]
        values += [f"{check.tolerance:.1g}"] if wide else []
        printed.add_row(*names, *values, style=None if check.holds else "bold red")
    console.print(printed)
