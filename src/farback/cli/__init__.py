"""The command line. Each module holds a few commands; importing it adds them to the app."""

from __future__ import annotations

import sys
import traceback
from typing import NoReturn

import typer

from farback.cli import (  # noqa: F401 - each adds its commands
    calibrate,
    claims,
    dashboard,
    doctor,
    init,
    list,
    report,
    run,
    search,
    show,
    ui,
)
from farback.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """The entry point: mistakes end with a message and exit code 2, an interruption with 130, a bug with 1.

    A store that cannot be used ends it with a message and exit code 1; all codes are in docs/command-line.md. Messages
    and tracebacks, ours or a library's, are printed without the passwords of the stores' URIs.
    """
    from farback.records.record import UserError

    try:
        app(prog_name="farback")
    except UserError as error:
        typer.echo(_masked(str(error)), err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        from farback.stores.retries import diagnosed

        found = diagnosed(error)
        if found is None or found.retry:
            _unexpected()
        message = f"{error.filename or 'a file'} cannot be written: {found.advice} ({error.strerror})"
        typer.echo(_masked(message), err=True)
        sys.exit(1)
    except Exception:
        _unexpected()


def _unexpected() -> NoReturn:
    """Print the traceback of an unexpected error."""
    typer.echo(_masked(traceback.format_exc()), err=True)
    sys.exit(1)


def _masked(text: str) -> str:
    from farback.stores.redaction import masked

    return masked(text, [part for argument in sys.argv for part in (argument, argument.partition("=")[2])])
