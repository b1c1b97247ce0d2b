"""The command line. Each module holds a few commands; importing it adds them to the app."""

from __future__ import annotations

import sys

import typer

from farback.cli import browsing, calibrating, listing, running, searching, showing  # noqa: F401 - each adds its commands
from farback.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """The entry point: mistakes end with a message and exit code 2, an interruption with 130.

    A store that cannot be used, which is nobody's mistake, ends it with a message and exit code 1.
    """
    from farback.component import UserError

    try:
        app()
    except UserError as error:
        typer.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        from farback.stores.patience import diagnosed

        trouble = diagnosed(error)
        if trouble is None or trouble.passes:
            raise
        typer.echo(f"{error.filename or 'a file'} cannot be written: {trouble.advice} ({error.strerror})", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
