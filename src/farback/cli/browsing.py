"""`farback ui`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from farback.cli.app import StoreURI, app
from farback.cli.completing import configs


@app.command()
def ui(
    config: Annotated[
        str | None, typer.Argument(help="the experiment to open (default: the newest)", autocompletion=configs)
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="where to listen, on 127.0.0.1")] = 5000,
    store: StoreURI = None,
    browser: Annotated[bool, typer.Option(help="open a browser")] = False,
) -> None:
    """Browse the runs in the MLflow UI, on this machine only."""
    from farback.stores.locations import located
    from farback.stores.ui import serve

    name = Path(config).stem if config else None
    raise typer.Exit(serve(located(store), name, port, browser))
