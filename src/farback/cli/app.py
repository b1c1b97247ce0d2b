"""The Typer app of the command line, to which `farback.cli` adds the commands."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typing_extensions import override

from farback.cli.console import echo


class Command(TyperCommand):
    """A command whose help shows no type for options without a value, such as `--json`."""

    @override
    def get_params(self, ctx: Any) -> Any:
        params = super().get_params(ctx)
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""
        return params


app = typer.Typer(
    help="How far back does each recurrent network remember?",
    epilog="Exit codes: 0 success; 1 a trial, a check or the store failed; 2 a mistake in the command or the config; "
    "130 and 143 stopped by SIGINT (Ctrl-C) and SIGTERM; 141 the reader of the output closed the pipe.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="print the version", is_eager=True)] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        echo(f"farback {installed('farback')}")
        raise typer.Exit()
