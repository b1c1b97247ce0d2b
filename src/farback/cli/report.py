"""`farback report`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from farback.cli.app import Config, Json, Settings, ShiftSeeds, StorageURI, StoreURI, app, config_path
from farback.cli.console import Printer, page_document

if TYPE_CHECKING:  # as in `run`: `--help` stays quick
    from farback.experiment import Experiment
    from farback.report.page import Page


@app.command()
def report(
    config: Config,
    store: StoreURI = None,
    settings: Settings = None,
    storage: StorageURI = None,
    shift_seeds: ShiftSeeds = 0,
    as_json: Json = False,
) -> None:
    """Write results/NAME again from the store (for a search, from its studies too), training nothing."""
    from farback.experiment import Experiment, Search
    from farback.runs.page import publish
    from farback.runs.sweep import checked_sweep
    from farback.stores import open_store

    experiment = Experiment.load(config_path(config), settings or [])
    with open_store(store, experiment.root) as opened:
        if isinstance(experiment, Search):
            from farback.runs.search.page import publish as publish_search

            page = publish_search(experiment, opened, storage)
        else:
            sweep = checked_sweep(experiment)
            experiment = sweep.shifted(shift_seeds) if shift_seeds else sweep
            page = publish(experiment, opened)
    console = Printer(as_json)
    show_page(page, experiment, console)
    console.document({"name": experiment.name, **page_document(page)})


def show_page(page: Page, experiment: Experiment, console: Printer) -> None:
    """Print the first table and the headline of a page, and where its files are."""
    from rich.table import Table as Printed

    for table in page.analysis.tables[:1]:
        printed = Printed(title=table.caption, title_justify="left")
        fits = console.width >= 100
        columns = [name for name in table.shown.columns if fits or not str(name).startswith("lag ")]
        for index, column in enumerate(columns):
            printed.add_column(str(column), justify="left" if index == 0 else "right")
        for row in table.shown[columns].itertuples(index=False):
            printed.add_row(*(str(cell) for cell in row))
        console.print(printed)
    console.print(page.analysis.headline, highlight=False)
    console.print()
    console.places(page)
    console.print(f"browse   {typed('ui', experiment)}", highlight=False, soft_wrap=True)
    console.print(f"rebuild  {typed('report', experiment)}", highlight=False, soft_wrap=True)


def typed(command: str, experiment: Experiment) -> str:
    """How to type a command: as a target of the project's Makefile, if it has one of that name.

    Args:
        command: `ui` or `dashboard`, which take a name, or `report`, which takes a config with its options.
        experiment: the one that was run.
    """
    from farback.system.project import config_of

    here = experiment.root.resolve() == Path.cwd().resolve()
    named = here and config_of(experiment.name).absolute() == experiment.path.absolute()
    if command == "ui" and not here:
        return f"cd {shlex.quote(str(experiment.root))} && farback ui {experiment.name}"
    if command == "report" and (not named or experiment.overrides or experiment.seeds_shifted):
        return f"farback report {experiment.arguments}"
    makefile = experiment.root / "Makefile"
    if makefile.exists() and re.search(rf"^{command}:", makefile.read_text("utf-8", "replace"), re.MULTILINE):
        return f"make {command} NAME={experiment.name}  (or: farback {command} {experiment.name})"
    return f"farback {command} {experiment.name}"
