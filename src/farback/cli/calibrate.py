"""`farback calibrate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farback.cli import shared_options as shared
from farback.cli.console import Printer, page_document

if TYPE_CHECKING:  # importing these at run time would slow `--help` down
    from farback.measures.known import Check

WIDE = 120  # a terminal with this many characters per line shows all columns


def calibrate(
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="the folder to write")] = Path("results/calibrate"),
    networks: Annotated[
        int,
        typer.Option(
            min=10, metavar="NUMBER", help="simulated networks for the statistics, and half as many to diagnose"
        ),
    ] = 200,
    as_json: shared.Json = False,
) -> None:
    """Test measures and statistics where the answer is known; exit code 1 if a number is wrong.

    Measures are applied to systems whose memory is known from theory, or that forget for a known reason; statistics to
    simulated success curves.
    """
    import pandas as pd
    from rich.progress import track

    from farback import measures
    from farback.measures.known import CASES, check_all, check_diagnosis, check_statistics
    from farback.report.calibration import write_calibration

    console = Printer(as_json)
    cases = track(
        check_all(measures),
        "measuring known systems",
        len(CASES),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    checks = [check for _, checks in cases for check in checks]
    checks += check_diagnosis(measures, networks // 2) + check_statistics(networks)
    _print(console, checks)
    rows = [{**asdict(check), "error": check.error, "holds": check.holds} for check in checks]
    page = write_calibration(pd.DataFrame(rows), output)
    console.print(page.analysis.headline, highlight=False)
    wrong = sum(not check.holds for check in checks)
    console.document({"checks": rows, "off": wrong, **page_document(page)})
    console.places(page)
    if wrong:
        console.print(f"{wrong} of {len(checks)} checks failed", style="red")
        raise typer.Exit(1)


def _print(console: Printer, checks: list[Check]) -> None:
    """Print every check, failed checks in red. A narrow terminal shows fewer columns."""
    from farback.report.calibration import number

    wide = console.width >= WIDE
    texts = ["system", "measure", "quantity"] if wide else ["system", "quantity"]
    numbers = ["expected", "measured", "error", "tolerance"] if wide else ["expected", "measured", "error"]
    rows = []
    for check in checks:
        cells = {**asdict(check), "expected": number(check.expected), "measured": number(check.measured)}
        cells |= {"error": f"{check.error:.1g}", "tolerance": f"{check.tolerance:.1g}"}
        row = [str(cells[column]) for column in (*texts, *numbers)]
        rows.append(row if check.holds else [f"[bold red]{cell}[/]" for cell in row])
    title = "The measures on systems whose memory is known"
    console.table(title, [*texts, *numbers], rows, text_columns=len(texts))
