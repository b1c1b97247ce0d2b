"""The command line. Each module holds a few commands; importing it adds them to the app."""

from __future__ import annotations

import sys
import traceback

import typer

from farback.cli import browsing, calibrating, listing, running, searching, showing  # noqa: F401 - each adds its commands
from farback.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """The entry point: mistakes end with a message and exit code 2, an interruption with 130, a bug with 1.

    Whatever is said of an error, by us or by a library, is said without the passwords of the stores' URIs.
    """
    from farback.component import UserError

    try:
        app()
    except UserError as error:
        typer.echo(_masked(str(error)), err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        typer.echo(_masked(traceback.format_exc()), err=True)
        sys.exit(1)


def _masked(text: str) -> str:
    from farback.stores.secrets import masked

    return masked(text, [part for argument in sys.argv for part in (argument, argument.partition("=")[2])])
