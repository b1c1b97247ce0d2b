"""`farback calibrate`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from farback.cli.app import app


@app.command()
def calibrate(
    output: Annotated[Path, typer.Option(help="the folder to write")] = Path("results/calibrate"),
) -> None:
    """Hold the ruler against systems whose memory is known; exit code 1 when a number is off."""
    import pandas as pd
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from farback import measures
    from farback.measures.known import CASES, Check, check_all
    from farback.report.calibration import number, write_calibration

    console = Console()
    found: list[Check] = []
    steps = track(check_all(measures), "measuring known systems", len(CASES), console=console, transient=True)
    for _, checks in steps:
        found += checks
    printed = Table(title="The ruler on systems whose memory is known", title_justify="left")
    for name in ("system", "measure", "quantity"):
        printed.add_column(name, overflow="fold")
    for name in ("expected", "measured", "error", "tolerance"):
        printed.add_column(name, justify="right", no_wrap=True)
    for check in found:
        values = [number(check.expected), number(check.measured), f"{check.error:.1g}", f"{check.tolerance:.1g}"]
        style = None if check.holds else "bold red"
        printed.add_row(check.system, check.measure, check.quantity, *values, style=style)
    console.print(printed)
    rows = [{**asdict(check), "error": check.error, "holds": check.holds} for check in found]
    page = write_calibration(pd.DataFrame(rows), output)
    console.print(page.analysis.headline, highlight=False)
    for label, path in (("figure", page.files[2]), ("report", page.report)):
        console.print(f"{label:8} {os.path.relpath(path)}", highlight=False, soft_wrap=True)
    if off := [check for check in found if not check.holds]:
        console.print(f"{len(off)} checks are off", style="red")
        raise typer.Exit(1)
