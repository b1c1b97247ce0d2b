"""The command line: run, report, ui, list, schema."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # torch, mlflow and the rest are imported by the commands that need them: `--help` stays quick
    from rich.console import Console

    from farback.experiment import Experiment
    from farback.report.page import Page
    from farback.stores.base import Store

app = typer.Typer(
    help="How far back does each recurrent network remember?",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[str, typer.Argument(help="a config: configs/demo.yaml, or its name, demo")]
StoreURI = Annotated[
    str | None, typer.Option("--store", help="MLflow tracking URI (default: MLFLOW_TRACKING_URI, or results/store)")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="change a value of the config: --set lag=5 --set optimizer.lr=1e-3")
]


@app.command()
def run(
    config: Config,
    settings: Settings = None,
    only: Annotated[list[str] | None, typer.Option(help="train a part: --only cell.name=lstm --only lag=5,10")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="processes (default: one for each core)")] = None,
    store: StoreURI = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be trained, and how long it takes")
    ] = False,
) -> None:
    """Train what the store does not hold of a config, then write its report."""
    from rich.console import Console

    from farback import runner
    from farback.display import Display, minutes
    from farback.executors.pool import cores
    from farback.experiment import Experiment
    from farback.stores.opening import open_store

    console = Console()
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    experiment = Experiment.load(_path(config), settings or [])
    trials = experiment.only(only or [])
    runner.check_wiring(experiment)
    _refresh_schema(experiment.path)
    count = workers or cores()
    with open_store(store, experiment.root) as opened:
        if dry_run:
            plan = runner.plan(trials, set(opened.frame(experiment.name)["key"]), count)
            todo = f"{len(plan.missing)} to train in {len(plan.cohorts)} cohorts on {count} workers"
            say(f"{experiment.name}: {len(plan.trials)} trials, {plan.reused} recorded already, {todo}")
            if plan.missing:
                say(f"estimated time, if no trial stops early: {minutes(plan.seconds(count))}")
            return
        opened.begin(experiment.name, trials, question=experiment.question, config_text=experiment.text)
        plan = runner.plan(trials, opened.finished([trial.key for trial in trials]), count)
        tally = runner.Tally(plan)
        display = Display(plan, tally, console)
        say(f"{experiment.name}: {len(plan.missing)} trials to train, {plan.reused} recorded already")
        try:
            with runner.pool(count) as executor, display.shown():
                for event in runner.execute(plan, executor, opened):
                    tally.add(event)
                    display.add(event)
        except KeyboardInterrupt:
            left = len(plan.missing) - len(tally.finished)
            say(f"\ninterrupted: {len(tally.finished)} trials were recorded, {left} are left; run again to go on")
            raise
        _report(experiment, opened, console)
        for failure in tally.failures[:5]:
            say(f"failed: trial {failure.key}: {failure.error}", style="red")
        if tally.failures:
            say(f"{len(tally.failures)} trials failed; the next run tries them again", style="red")
            raise typer.Exit(1)


@app.command()
def report(config: Config, store: StoreURI = None, settings: Settings = None) -> None:
    """Write results/NAME again from the store, training nothing."""
    from rich.console import Console

    from farback.experiment import Experiment
    from farback.stores.opening import open_store

    experiment = Experiment.load(_path(config), settings or [])
    with open_store(store, experiment.root) as opened:
        _report(experiment, opened, Console())


@app.command()
def ui(
    config: Annotated[str | None, typer.Argument(help="the experiment to open (default: the newest)")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="where to listen, on 127.0.0.1")] = 5000,
    store: StoreURI = None,
    browser: Annotated[bool, typer.Option(help="open a browser")] = False,
) -> None:
    """Browse the runs in the MLflow UI, on this machine only."""
    from farback.stores.locations import located
    from farback.stores.ui import serve

    name = Path(config).stem if config else None
    raise typer.Exit(serve(located(store), name, port, browser))


@app.command("list")
def list_(kind: Annotated[str, typer.Argument(help="tasks, cells, inits, encoders or measures")]) -> None:
    """List the plug-ins of a kind, a line each."""
    import importlib

    kinds = ["tasks", "cells", "inits", "encoders", "measures"]
    if kind not in kinds:
        from farback.component import choices

        raise typer.BadParameter(f"unknown kind {kind!r}; {choices(kind, kinds)}")
    family = importlib.import_module(f"farback.{kind}.base").FAMILY
    width = max(map(len, family.names()))
    for member in family.members():
        first = (member.__doc__ or "").strip().splitlines()[0]
        typer.echo(f"{member.model_fields['name'].default:{width}}  {first}")


@app.command()
def schema(
    output: Annotated[Path, typer.Argument(help="the file to write")] = Path("configs/schema.json"),
) -> None:
    """Write the JSON Schema of a config, with which editors complete and check."""
    output.write_text(_schema_text(), encoding="utf-8")
    typer.echo(f"wrote {output}")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="print the version", is_eager=True)] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"farback {installed('farback')}")
        raise typer.Exit()


def _schema_text() -> str:
    from farback.experiment import schema as json_schema

    return json.dumps(json_schema(), indent=1) + "\n"


def _refresh_schema(beside: Path) -> None:
    """Bring a schema that lies beside a config up to date, for it lists the plug-ins."""
    path = beside.with_name("schema.json")
    if path.exists() and path.read_text(encoding="utf-8") != (text := _schema_text()):
        path.write_text(text, encoding="utf-8")


def _path(config: str) -> Path:
    """A config's path, from a path or a bare name."""
    path = Path(config)
    if path.suffix or path.exists():
        return path
    return Path("configs") / f"{config}.yaml"


def _report(experiment: Experiment, store: Store, console: Console) -> Page:
    """Write the page, summarise in the store, and say where everything is."""
    from rich.table import Table as Printed

    from farback import runner

    page = runner.publish(experiment, store)
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
    pictures = [path for path in page.files if path.suffix == ".png"]
    console.print()
    for label, path in [("figure", pictures[0] if pictures else None), ("report", page.report)]:
        if path is not None:
            console.print(f"{label:8} {os.path.relpath(path)}", highlight=False, soft_wrap=True)
    console.print(f"browse   make ui NAME={experiment.name}      (or: farback ui {experiment.name})", highlight=False)
    console.print(
        f"rebuild  make report NAME={experiment.name}  (or: farback report {experiment.name})", highlight=False
    )
    return page


def main() -> None:
    """The entry point: mistakes end with a message and exit code 2, an interruption with 130."""
    from farback.component import UserError

    try:
        app()
    except UserError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
