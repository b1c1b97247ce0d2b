"""Arguments and options that several commands have in common."""

from __future__ import annotations

from typing import Annotated

import typer

from farback.cli.completion import configs

Address = Annotated[
    str | None,
    typer.Option(metavar="tcp://HOST:PORT", help="address of a Dask scheduler: tcp://HOST:PORT or tls://HOST:PORT"),
]
CheckpointSeconds = Annotated[
    float | None,
    typer.Option(
        "--checkpoint-seconds",
        min=0,
        metavar="SECONDS",
        help="seconds between checkpoints (default: the config's, else 60)",
    ),
]
Config = Annotated[str, typer.Argument(help="a config: configs/demo.yaml, or its name, demo", autocompletion=configs)]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="DEVICE", help="cpu, cuda, or cuda:1 and so on (default: the config's, else cpu)"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="print what would be trained and how long it takes, then exit")]
ExecutorName = Annotated[
    str | None,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="serial, pool or dask (default: the config's, else pool)",
        autocompletion=lambda incomplete: [name for name in ("serial", "pool", "dask") if name.startswith(incomplete)],
    ),
]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document to stdout, everything else to stderr")]
NoToken = Annotated[
    bool, typer.Option("--no-token", help="let every user of this machine read and change what is served")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="change a value of the config: --set lag=5 --set optimizer.lr=1e-3"
    ),
]
ShiftSeeds = Annotated[
    int,
    typer.Option(
        "--shift-seeds",
        min=0,
        metavar="NUMBER",
        help="add this number to every seed, to train other networks on other data",
    ),
]
StorageURI = Annotated[
    str | None,
    typer.Option("--storage", metavar="URI", help="URI of the Optuna database (default: results/store/optuna.db)"),
]
StoreURI = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="URI", help="MLflow tracking URI (default: MLFLOW_TRACKING_URI, else results/store)"
    ),
]
Workers = Annotated[int | None, typer.Option(min=1, metavar="NUMBER", help="worker processes (default: one per core)")]
