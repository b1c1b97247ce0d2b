"""What every command shares: the app, its options, and how a config is named."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from farback.cli.completion import configs
from farback.cli.console import echo

# Order in the help, by how often they are typed; other commands come last
ORDER = (
    "init",
    "run",
    "report",
    "ui",
    "search",
    "dashboard",
    "calibrate",
    "claims",
    "list",
    "show",
    "schema",
    "doctor",
)


class Ordered(TyperGroup):
    """Commands in an order of their own, whichever module was imported first."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Known ones first."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


app = typer.Typer(
    cls=Ordered,
    help="How far back does each recurrent network remember?",
    epilog="Exit codes: 0 fine; 1 something failed or is not as it should be; 2 a mistake in the command or the "
    "config; 130 and 143 stopped by SIGINT (Ctrl-C) and SIGTERM; 141 nobody reads the output any more.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[str, typer.Argument(help="a config: configs/demo.yaml, or its name, demo", autocompletion=configs)]
Json = Annotated[bool, typer.Option("--json", help="one JSON document to stdout, everything else to stderr")]
StorageURI = Annotated[
    str | None, typer.Option("--storage", help="the studies' database URI (default: results/store/optuna.db)")
]
StoreURI = Annotated[
    str | None, typer.Option("--store", help="MLflow tracking URI (default: MLFLOW_TRACKING_URI, or results/store)")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="change a value of the config: --set lag=5 --set optimizer.lr=1e-3")
]
Workers = Annotated[int | None, typer.Option(min=1, help="processes (default: one for each core)")]
ExecutorName = Annotated[
    str | None,
    typer.Option(
        "--executor",
        help="serial, pool or dask (default: what the config says, or pool)",
        autocompletion=lambda incomplete: [name for name in ("serial", "pool", "dask") if name.startswith(incomplete)],
    ),
]
Address = Annotated[str | None, typer.Option(help="of a Dask scheduler: tcp://HOST:PORT or tls://HOST:PORT")]

CheckpointSeconds = Annotated[
    float | None,
    typer.Option("--checkpoint-seconds", min=0, help="between checkpoints (default: the config's, else 60)"),
]

Device = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda, or cuda:1 and so on (default: the config's, else cpu)")
]


ShiftSeeds = Annotated[
    int,
    typer.Option(
        "--shift-seeds", min=0, help="add a number to every seed: the same trials with other networks and data"
    ),
]


DryRun = Annotated[bool, typer.Option("--dry-run", help="print what would be trained, and how long it takes")]


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="print the version", is_eager=True)] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        echo(f"farback {installed('farback')}")
        raise typer.Exit()


def config_path(config: str) -> Path:
    """A config's path, from a path or a name: `demo`, `claims/adding`, or `adding` alone."""
    path = Path(config)
    if path.suffix or path.exists():
        return path
    from farback.system.project import config_of

    return config_of(config)
