"""The command line. Each module holds a few commands; importing it adds them to the app."""

from __future__ import annotations

import sys
import traceback
from typing import NoReturn

import typer

from farback.cli import calibrate, claims, doctor, init, list, run, search, show, ui  # noqa: F401 - each adds its commands
from farback.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """The entry point: mistakes end with a message and exit code 2, an interruption with 130, a bug with 1.

    A store that cannot be used, which is nobody's mistake, ends it with a message and exit code 1 (all of them are in
    docs/command-line.md). Whatever is said of an error, by us or by a library, is said without the passwords of the
    stores' URIs.
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

        trouble = diagnosed(error)
        if trouble is None or trouble.passes:
            _surprised()
        said = f"{error.filename or 'a file'} cannot be written: {trouble.advice} ({error.strerror})"
        typer.echo(_masked(said), err=True)
        sys.exit(1)
    except Exception:
        _surprised()


def _surprised() -> NoReturn:
    """Say where an error comes from that nobody foresaw."""
    typer.echo(_masked(traceback.format_exc()), err=True)
    sys.exit(1)


def _masked(text: str) -> str:
    from farback.stores.redaction import masked

    return masked(text, [part for argument in sys.argv for part in (argument, argument.partition("=")[2])])
