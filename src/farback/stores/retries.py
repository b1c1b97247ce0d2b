"""Retries of calls to a store that fails for a while, and plain messages where retrying does not help.

A call may succeed later if a server does not answer or a database is locked, but not if a disk is full, a file is no
database or a password is wrong. Messages never contain the store's secrets.
"""

from __future__ import annotations

import errno
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from farback.records.user_error import UserError
from farback.stores import locations

T = TypeVar("T")

SECONDS = 600.0  # enough to restart a server
FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0  # seconds between two attempts
REPORT_SECONDS = 60.0  # between two messages about one failure
REASON_CHARACTERS = 300

LOGGER = logging.getLogger("farback.stores")  # without a handler, warnings go to standard error

FULL = "there is no space left: free some space and run the same command again; what was recorded is safe"
FAILING = (
    "there is no space left, or the disk or its file system fails: free some space or check the disk, then run the "
    "same command again; `farback doctor` says whether the database is whole"
)
READ_ONLY = "it cannot be written to: check its permissions, or choose another place with --store or --storage"
BROKEN = (
    "it is not a database, or it is damaged: nothing was changed; move it away, or choose another --store or --storage"
)
DENIED = "access is denied: check the user, the password or the token"
LOCKED = "another process has locked it"
RACED = "another process wrote the same record at the same moment"
GONE = "it does not answer"

FULL_CODES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
READ_ONLY_CODES = (errno.EROFS, errno.EACCES, errno.EPERM)
# Errors are recognised by their texts: MLflow preserves little else of a database's or a server's error
TEXTS = (
    (FULL, False, r"disk is full|no space left|quota exceeded|file too large"),
    (FAILING, False, r"disk i/o error"),  # SQLite says this of a full disk, too
    (READ_ONLY, False, r"readonly database|read-only file system|permission denied|unable to open database"),
    (BROKEN, False, r"file is not a database|image is malformed|file is encrypted"),
    (DENIED, False, r"authentication failed|no password supplied|access denied|not authenticated"),
    (LOCKED, True, r"database( table| schema)? is locked"),
    (RACED, True, r"unique constraint failed|duplicate key value|could not serialize access|deadlock detected"),
    (GONE, True, r"connection (refused|reset|aborted|timed out|failed)|(closed the|terminating|end closed) connection"),
    (GONE, True, r"the database system is|max retries exceeded|timeout exception|could not connect"),
    (GONE, True, r"too many 50"),  # urllib3's "too many 503 error responses"
)
GONE_STATUS = (408, 429, 502, 503, 504)
DENIED_STATUS = (401, 403)


class StoreFault(UserError):
    """The store cannot be used: the command ends with exit code 1."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True)
class Advice:
    """Advice on an error, whether to retry, and the error's first line."""

    advice: str
    retry: bool
    reason: str


_began: dict[int, float] = {}  # when the present call to a store began, by thread


@contextmanager
def timed() -> Iterator[None]:
    """A block that calls a store, for `seconds_in_call`."""
    thread = threading.get_ident()
    is_outermost = thread not in _began
    _began.setdefault(thread, time.monotonic())
    try:
        yield
    finally:
        if is_outermost:
            del _began[thread]


def seconds_in_call(thread: int) -> float:
    """For how long the present call of a thread to a store has lasted; 0 if the thread is in none."""
    began = _began.get(thread)
    return 0.0 if began is None else time.monotonic() - began


class Retries:
    """Repeats calls to the store at `place` that fail for a temporary reason, each for up to `seconds`.

    `answers` are exceptions that a call raises in place of a result; they are passed on, whatever caused them.
    """

    def __init__(self, place: str, seconds: float = SECONDS, answers: tuple[type[Exception], ...] = ()) -> None:
        self.place, self.seconds, self.answers = locations.named(place), seconds, answers

    @contextmanager
    def off(self) -> Iterator[None]:
        """No retries in this block, which cleans up after an error: the store itself may have failed."""
        seconds, self.seconds = self.seconds, 0.0
        try:
            yield
        finally:
            self.seconds = seconds

    def call(self, function: Callable[[], T], find: Callable[[], T | None] = lambda: None) -> T:
        """Call a function, with retries and growing pauses, and return its result.

        `find` returns the result of a call that raised an error but succeeded; None if it failed.

        Raises:
            StoreFault: the error is not temporary, or `seconds` have passed.
        """
        with timed():
            return self._call(function, find)

    def _call(self, function: Callable[[], T], find: Callable[[], T | None]) -> T:
        began = reported = time.monotonic()
        wait, tries = FIRST_WAIT, 0
        while True:
            try:
                result = find() if tries else None
                result = function() if result is None else result
                if tries:
                    LOGGER.warning("%s is back after %.0f s", self.place, time.monotonic() - began)
                return result
            except self.answers:
                raise
            except Exception as error:
                diagnosis = diagnosed(error)
                if diagnosis is None:
                    raise
                now = time.monotonic()
                if not diagnosis.retry or now - began >= self.seconds:
                    raise self._fault(diagnosis, now - began) from None  # the error may contain the password
            if not tries or now - reported >= REPORT_SECONDS:
                reported, left = now, self.seconds - (now - began)
                problem = f"{diagnosis.advice} ({diagnosis.reason})"
                LOGGER.warning("%s: %s: retrying for another %.0f s", self.place, problem, left)
            tries += 1
            time.sleep(min(wait, max(0.01, self.seconds - (now - began))))
            wait = min(2 * wait, LONGEST_WAIT)

    def _fault(self, diagnosis: Advice, waited: float) -> StoreFault:
        problem = diagnosis.advice
        if diagnosis.retry:
            problem += f" for {waited:.0f} s; what was recorded is safe, and the same command resumes from there"
        return StoreFault(f"the store {self.place} cannot be used: {problem} ({diagnosis.reason})")


class Retrying:
    """An object whose method calls are retried."""

    def __init__(self, bare: Any, retries: Retries) -> None:
        self._bare, self._retries = bare, retries

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._bare, name)
        return lambda *args, **options: self._retries.call(lambda: method(*args, **options))


def diagnosed(error: BaseException) -> Advice | None:
    """The diagnosis of an error of the store; None for other errors."""
    if isinstance(error, UserError):
        return None
    chain = list(_chain(error))
    local = any(hasattr(each, "orig") for each in chain)  # a database's error, to which MLflow gives an HTTP status
    for each in chain:
        code = each.errno if isinstance(each, OSError) else None
        if code in FULL_CODES or code in READ_ONLY_CODES:
            return Advice(FULL if code in FULL_CODES else READ_ONLY, False, reason(each))
    text = " ".join(str(each).lower() for each in chain)
    for advice, retry, pattern in TEXTS:
        if re.search(pattern, text):  # Optuna's own text says nothing about the cause
            cause = next((each for each in chain if re.search(pattern, str(each).lower())), error)
            return Advice(advice, retry, reason(cause))
    for each in chain:
        status = None if local else _status(each)
        if status in GONE_STATUS or status in DENIED_STATUS:
            return Advice(GONE if status in GONE_STATUS else DENIED, status in GONE_STATUS, reason(each))
        if isinstance(each, ConnectionError | TimeoutError):
            return Advice(GONE, True, reason(each))
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        original: Any = getattr(error, "orig", None)  # where SQLAlchemy keeps the driver's error
        error = error.__cause__ or error.__context__ or (original if isinstance(original, BaseException) else None)


def _status(error: BaseException) -> int | None:
    """The HTTP status of an error's response, if it has one."""
    response: Any = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status is None and hasattr(error, "get_http_status_code"):
        status = error.get_http_status_code()
    return status if isinstance(status, int) else None


def reason(error: BaseException) -> str:
    """The first line of an error's text, without secrets."""
    lines = str(error).strip().splitlines()
    return locations.shown(lines[0])[:REASON_CHARACTERS] if lines else type(error).__name__
