"""`farback backtest`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from farback.cli import shared_options as shared
from farback.cli.console import LOADING, WRITING, Printer, page_document, step


def backtest(
    output: Annotated[Path | None, typer.Option(metavar="FOLDER", help="the folder to write")] = None,
    store: shared.StoreURI = None,
    as_json: shared.Json = False,
) -> None:
    """Test the law of learning time on every stored sweep, and write results/backtest; trains nothing.

    Fitted to the trainings at lags up to L, does the law predict those at up to two and four times that lag?
    """
    step(LOADING)
    from farback.experiment import Experiment, Sweep
    from farback.report.backtest import NAME, predicted, write_backtest
    from farback.runs.frames import frame
    from farback.system.project import RESULTS, configs_in, project_folder

    root = Path(os.path.relpath(project_folder()))
    sweeps = [one for one in map(Experiment.load, configs_in(root)) if isinstance(one, Sweep)]
    step(WRITING)
    frames = {sweep.name: frame(sweep, store) for sweep in sorted(sweeps, key=lambda one: one.name)}
    found = {name: predicted(own) for name, own in frames.items() if len(own)}
    page = write_backtest(found, output or root / RESULTS / NAME)
    console = Printer(as_json)
    table = page.analysis.tables[0]
    own = table.shown[(table.frame["networks"] > 0).tolist()] if len(table.frame) else table.shown
    own = own[[name for name in own.columns if not name.startswith(("predicted", "of those"))]]
    console.table("The law of learning time", list(own.columns), own.to_numpy().tolist())
    console.print(page.analysis.headline, highlight=False)
    console.document({"sweeps": table.frame.to_dict("records"), **page_document(page)})
    console.places(page)
