"""SIGINT and SIGTERM in a command that trains: it writes checkpoints and exits, and nothing is lost.

The first signal asks the executor to finish: what trains is checkpointed, connections are closed. A second one, or one
that comes while nothing trains, ends the command at once, like Ctrl-C in any program.
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
    from farback.executors import Executor

HANDLED = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Signals:
    """Handles signals for one command."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.executor: Executor | None = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals in this block; one that ends it gives exit code 128 + its number, as shells count."""
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
        """In this block, the first signal lets the executor finish.

        Raises:
            Interrupted: at the end of the block, if there was a signal.
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
        name = signal.Signals(number).name
        # Not with print: the signal may have come in the middle of one
        os.write(2, f"\n{name}: exiting after checkpoints; send it again (Ctrl-C) to quit now\n".encode())


def _resend(lost: sys.UnraisableHookArgs) -> None:
    """Send a signal again that came during garbage collection, where its exception could not end anything."""
    if not isinstance(lost.exc_value, Interrupted):
        sys.__unraisablehook__(lost)
        return
    later = threading.Timer(0.01, os.kill, (os.getpid(), lost.exc_value.number))
    later.daemon = True
    later.start()


def resume_command() -> str:
    """The command that resumes where this one was stopped."""
    return shlex.join([os.path.basename(sys.argv[0]).replace("__main__.py", "farback"), *sys.argv[1:]])
