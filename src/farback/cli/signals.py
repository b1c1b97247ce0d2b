"""Handles SIGINT (Ctrl-C) and SIGTERM in commands that train.

The first signal asks the executor to finish: it writes checkpoints and closes its connections. A second signal, or one
that comes while nothing trains, ends the command at once. Neither waits for a store that hangs or is locked: a thread
watches, since Python handles no signal while its main thread waits in a database's own code.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from farback.stores.retries import StoreFault, seconds_in_call

if TYPE_CHECKING:
    from farback.executors import Executor
    from farback.runs.displays import Display

HANDLED = (signal.SIGINT, signal.SIGTERM)
STORE_SECONDS = 3.0  # after a signal, a longer call to the store is interrupted
EXIT_SECONDS = 5.0  # the process ends this long after that, or after a second signal
WATCH_SECONDS = 0.2  # between checks
SHOW_CURSOR = b"\x1b[?25h"


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
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)  # gets a byte for each signal, at once
        watch = threading.Thread(target=_watch, args=(reader, threading.get_ident()), daemon=True)
        watch.start()
        try:
            yield
        except Interrupted as error:
            raise typer.Exit(128 + error.number) from error
        finally:
            sys.unraisablehook = unraisable
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            os.close(writer)
            watch.join()
            os.close(reader)

    @contextmanager
    def finishing(self, executor: Executor) -> Iterator[None]:
        """In this block, the first signal asks the executor to finish.

        Raises:
            Interrupted: at the end of the block, if a signal came.
        """
        self.executor = executor
        try:
            yield
        except StoreFault as error:
            if self.number is None:
                raise
            os.write(2, f"\n{error}\n".encode())
            raise Interrupted(self.number) from error
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


def _watch(reader: int, main: int) -> None:
    """End the process some seconds after a signal, if a store keeps the main thread from ending it.

    `reader` gives the numbers of the signals, and its end when the command ends by itself.
    """
    numbers: list[int] = []
    first = interrupted = 0.0
    while not interrupted or time.monotonic() - interrupted < EXIT_SECONDS:
        if select.select([reader], [], [], WATCH_SECONDS if numbers else None)[0]:
            received = os.read(reader, 100)
            if not received:
                return
            numbers += [number for number in received if number in HANDLED]
        now = time.monotonic()
        first = first or now * bool(numbers)
        if interrupted or not numbers:
            continue
        if len(numbers) > 1:
            interrupted = now
        elif min(now - first, seconds_in_call(main)) > STORE_SECONDS:
            interrupted = now
            os.write(2, b"\nthe store does not answer: ending without it; what was recorded is safe\n")
            os.kill(os.getpid(), numbers[0])
    os.write(2, (SHOW_CURSOR if os.isatty(2) else b"") + f"ended; to resume:\n{resume_command()}\n".encode())
    os._exit(128 + numbers[-1])


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
