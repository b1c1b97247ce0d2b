"""`farback report`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from farback.cli import shared_options as shared
from farback.cli.console import LOADING, WRITING, Printer, page_document, step

if TYPE_CHECKING:  # importing these at run time would slow `--help` down
    from farback.experiment import Experiment
    from farback.report.analysis import Analysis, Table
    from farback.report.page import Page

HORIZONS = ("trainability", "retention_horizons", "curriculum_horizons")  # tables that are printed, as far as there are
LAGS_WIDTH = 100  # characters; a narrower terminal does not show the columns of single lags


def report(
    config: shared.Config,
    store: shared.StoreURI = None,
    settings: shared.Settings = None,
    storage: shared.StorageURI = None,
    shift_seeds: shared.ShiftSeeds = 0,
    as_json: shared.Json = False,
) -> None:
    """Write results/NAME from the store (for a search, also from its studies) without training anything."""
    step(LOADING)
    from farback.experiment import Search
    from farback.runs.session import load
    from farback.runs.sweep import checked_sweep
    from farback.runs.sweep_page import publish
    from farback.stores import open_store

    experiment = load(config, settings or [])
    step(WRITING)
    with open_store(store, experiment.root, reading=True) as opened:
        if isinstance(experiment, Search):
            from farback.runs.search.search_page import publish as publish_search

            page = publish_search(experiment, opened, storage)
        else:
            sweep = checked_sweep(experiment)
            experiment = sweep.shifted(shift_seeds) if shift_seeds else sweep
            page = publish(experiment, opened)
    console = Printer(as_json)
    show_page(page, experiment, console)
    console.document({"name": experiment.name, **page_document(page)})


def show_page(page: Page, experiment: Experiment, console: Printer) -> None:
    """Print the tables of horizons and the headline of a page, the paths of its files, and commands to type next."""
    for table in headline_tables(page.analysis):
        wide = console.width >= LAGS_WIDTH
        columns = [name for name in table.shown.columns if wide or not str(name).startswith("lag ")]
        rows = [[str(cell) for cell in row] for row in table.shown[columns].itertuples(index=False)]
        console.table(table.caption, [str(column) for column in columns], rows)
    console.print(page.analysis.headline, highlight=False)
    console.print()
    console.places(page)
    console.say(f"browse   {command_for('ui', experiment)}")
    console.say(f"rebuild  {command_for('report', experiment)}")


def headline_tables(analysis: Analysis) -> list[Table]:
    """The first table, and the horizons of networks that were trained on lags of another kind."""
    return analysis.tables[:1] + [table for table in analysis.tables[1:] if table.name in HORIZONS]


def command_for(command: str, experiment: Experiment) -> str:
    """How to run `ui`, `dashboard` or `report`: by `make COMMAND` if the Makefile has it, else by `farback COMMAND`."""
    from farback.system.project import config_of

    in_root = experiment.root.resolve() == Path.cwd().resolve()
    has_name = in_root and config_of(experiment.name).absolute() == experiment.path.absolute()
    if command == "ui" and not in_root:
        return f"cd {shlex.quote(str(experiment.root))} && farback ui {experiment.name}"
    if command == "report" and (not has_name or experiment.overrides or experiment.seeds_shifted):
        return f"farback report {experiment.arguments}"
    makefile = experiment.root / "Makefile"
    if makefile.exists() and re.search(rf"^{command}:", makefile.read_text("utf-8", "replace"), re.MULTILINE):
        return f"make {command} NAME={experiment.name}  (or: farback {command} {experiment.name})"
    return f"farback {command} {experiment.name}"
