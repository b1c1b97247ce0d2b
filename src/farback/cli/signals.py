"""What SIGINT and SIGTERM do to a command that trains: everything comes to an end, and nothing is lost.

The first one asks the executor to finish: what trains is checkpointed, what runs is closed. A second one, or one that
comes while nothing trains, ends the command at once, like Ctrl-C in any program.
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

HEARD = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Stopping:
    """Listens for signals, for one command."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.executor: Executor | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Until the end of the block; a signal ends it with exit code 128 + its number, as shells count."""
        before = {number: signal.signal(number, self._heard) for number in HEARD}
        unraisable, sys.unraisablehook = sys.unraisablehook, _again
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
        """In this block a first signal lets what trains come to an end.

        Raises:
            Interrupted: at the end of the block, if there was one.
        """
        self.executor = executor
        try:
            yield
        finally:
            self.executor = None
        if self.number is not None:
            raise Interrupted(self.number)

    def _heard(self, number: int, frame: object) -> None:
        first, self.number = self.number is None, number
        if not first or self.executor is None:
            raise Interrupted(number)
        self.executor.finish()
        name = signal.Signals(number).name
        # Not by print: the signal may have come in the middle of one.
        os.write(2, f"\n{name}: what trains is checkpointed, then this ends; once more ends it at once\n".encode())


def _again(lost: sys.UnraisableHookArgs) -> None:
    """A signal that came while memory was given back could not end anything there: it is given a moment later."""
    if not isinstance(lost.exc_value, Interrupted):
        sys.__unraisablehook__(lost)
        return
    later = threading.Timer(0.01, os.kill, (os.getpid(), lost.exc_value.number))
    later.daemon = True
    later.start()


def command() -> str:
    """The command that goes on where this one was stopped."""
    return shlex.join([os.path.basename(sys.argv[0]).replace("__main__.py", "farback"), *sys.argv[1:]])
