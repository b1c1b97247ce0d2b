"""Handles SIGINT (Ctrl-C) and SIGTERM in commands that train.

The first signal asks the executor to finish: it writes checkpoints and closes its connections. A second signal, or one
that comes while nothing trains, ends the command at once.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from farback.cli.progress import Display
    from farback.executors import Executor

HANDLED = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Raised when a signal ends the command."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class SignalHandler:
    """Handles SIGINT and SIGTERM in one command. If `display` is live, it shows the message of the first signal."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.executor: Executor | None = None
        self.display: Display | None = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals in this block.

        Raises:
            typer.Exit: a signal ended the block; the exit code is 128 + the signal's number, as in a shell.
        """
        before = {number: signal.signal(number, self._handle) for number in HANDLED}
        unraisable, sys.unraisablehook = sys.unraisablehook, _resend
        try:
            yield
        except Interrupted as error:
            raise typer.Exit(128 + error.number) from error
        finally:
            sys.unraisablehook = unraisable
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def finishing(self, executor: Executor) -> Iterator[None]:
        """In this block, the first signal asks the executor to finish.

        Raises:
            Interrupted: at the end of the block, if a signal came.
        """
        self.executor = executor
        try:
            yield
        finally:
            self.executor = None
        if self.number is not None:
            raise Interrupted(self.number)

    def _handle(self, number: int, frame: object) -> None:
        first, self.number = self.number is None, number
        if not first or self.executor is None:
            raise Interrupted(number)
        self.executor.finish()
        message = f"{signal.Signals(number).name}: exiting after checkpoints; send it again (Ctrl-C) to quit now"
        if self.display is not None and self.display.is_live:
            self.display.notice = message
        else:  # os.write instead of print, because the signal may have interrupted a print
            os.write(2, f"\n{message}\n".encode())


def _resend(lost: sys.UnraisableHookArgs) -> None:
    """Send a signal again if it came during garbage collection, where Python drops exceptions."""
    if not isinstance(lost.exc_value, Interrupted):
        sys.__unraisablehook__(lost)
        return
    later = threading.Timer(0.01, os.kill, (os.getpid(), lost.exc_value.number))
    later.daemon = True
    later.start()


def resume_command() -> str:
    """This command, as it was typed."""
    return shlex.join([os.path.basename(sys.argv[0]).replace("__main__.py", "farback"), *sys.argv[1:]])
