"""The command line: one module per command."""

from __future__ import annotations

import sys
import traceback
from typing import NoReturn

import typer

from farback.cli import (
    backtest,
    calibrate,
    check,
    claims,
    dashboard,
    doctor,
    init,
    list,
    new,
    report,
    run,
    search,
    show,
    ui,
)
from farback.cli.app import Command, app

__all__ = ["app", "main"]

# In the order of the help: the most used commands first
for command in (
    init.init,
    run.run,
    report.report,
    ui.ui,
    search.search,
    dashboard.dashboard,
    calibrate.calibrate,
    backtest.backtest,
    claims.claims,
    list.list_,
    show.show,
    new.new,
    check.check,
    list.schema,
    doctor.doctor,
):
    app.command(command.__name__.rstrip("_"), cls=Command)(command)


def main() -> None:
    """The entry point. Exit codes are in docs/command-line.md.

    Messages and tracebacks, also those of libraries, are printed without the passwords that URIs of stores contain.
    """
    from farback.records.user_error import UserError
    from farback.system.heap import collect_less, keep_heap

    collect_less()
    keep_heap()
    try:
        app(prog_name="farback")
    except UserError as error:
        typer.echo(_masked(str(error)), err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        from farback.stores.retries import diagnosed

        diagnosis = diagnosed(error)
        if diagnosis is None or diagnosis.retry:
            _exit_with_traceback()
        message = f"{error.filename or 'a file'} cannot be written: {diagnosis.advice} ({error.strerror})"
        typer.echo(_masked(message), err=True)
        sys.exit(1)
    except Exception:
        _exit_with_traceback()


def _exit_with_traceback() -> NoReturn:
    typer.echo(_masked(traceback.format_exc()), err=True)
    sys.exit(1)


def _masked(text: str) -> str:
    from farback.stores.redaction import masked

    return masked(text, [part for argument in sys.argv for part in (argument, argument.partition("=")[2])])
