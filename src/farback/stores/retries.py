"""What to do when the store cannot be used: wait for what passes, say plainly what does not.

A server that is gone or a database that is locked comes back; a full disk, a file that is no database or a wrong
password do not. Whatever is said of a store is said without its secrets.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from farback.records.record import UserError
from farback.stores import locations

T = TypeVar("T")

SECONDS = 600.0  # a server that is restarted is back by then
FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0  # seconds between two attempts
SAY_SECONDS = 60.0  # between two messages
REASON_CHARACTERS = 300

LOGGER = logging.getLogger("farback.stores")  # without a handler of anyone's, warnings go to the standard error stream

FULL = "there is no space left: free some, then run the same command again; what was recorded is safe"
READ_ONLY = "it cannot be written to: see to the permissions, or choose another place with --store"
BROKEN = "it is not a database, or damaged: nothing was changed; move it away, or choose another place with --store"
DENIED = "it does not let us in: see to the user, the password or the token"
LOCKED = "another process holds it locked"
RACED = "another process wrote the same at the same moment"
GONE = "it does not answer"

FULL_CODES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
READ_ONLY_CODES = (errno.EROFS, errno.EACCES, errno.EPERM)
# By what their texts say: MLflow passes on little else of what its database or its server told
TEXTS = (
    (FULL, False, ("disk is full", "no space left", "quota exceeded", "file too large", "disk i/o error")),
    (READ_ONLY, False, ("readonly database", "read-only file system", "permission denied", "unable to open database")),
    (BROKEN, False, ("file is not a database", "image is malformed", "file is encrypted")),
    (DENIED, False, ("authentication failed", "no password supplied", "access denied", "not authenticated")),
    (LOCKED, True, ("database is locked", "database table is locked", "database schema is locked")),
    (
        RACED,
        True,
        ("unique constraint failed", "duplicate key value", "could not serialize access", "deadlock detected"),
    ),
    (
        GONE,
        True,
        (
            "connection refused",
            "connection reset",
            "connection aborted",
            "connection timed out",
            "server closed the connection",
            "terminating connection",
            "the database system is",  # starting up, shutting down, in recovery
            "max retries exceeded",
            "timeout exception",
            "remote end closed connection",
            "could not connect",
            "connection failed",
            "too many 50",  # of urllib3: "too many 503 error responses"
        ),
    ),
)
GONE_STATUS = (408, 429, 502, 503, 504)
DENIED_STATUS = (401, 403)


class StoreFault(UserError):
    """The store cannot be used, through no fault of the config: the command ends with exit code 1."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True)
class Trouble:
    """What is the matter with a store."""

    advice: str
    passes: bool
    reason: str


class Patience:
    """Calls what may fail for a while."""

    def __init__(self, place: str, seconds: float = SECONDS) -> None:
        """Nothing is called yet.

        Args:
            place: the store's URI.
            seconds: for which a call is tried again.
        """
        self.place, self.seconds = locations.shown(place), seconds

    def keep(self, call: Callable[[], T], found: Callable[[], T | None] = lambda: None) -> T:
        """What a call returns, as soon as it does.

        Args:
            call: may be called again after it has raised.
            found: looks whether a call that raised was carried out all the same, and returns what came of it.

        Raises:
            StoreFault: it is of no use to wait, or to wait longer.
        """
        began = said = time.monotonic()
        wait, tries = FIRST_WAIT, 0
        while True:
            try:
                done = found() if tries else None
                done = call() if done is None else done
                if tries:
                    LOGGER.warning("%s is back after %.0f s", self.place, time.monotonic() - began)
                return done
            except Exception as error:
                trouble = diagnosed(error)
                if trouble is None:
                    raise
                now = time.monotonic()
                if not trouble.passes or now - began >= self.seconds:
                    raise self._fault(trouble, now - began) from None  # its texts may hold the password
            if not tries or now - said >= SAY_SECONDS:
                said, left = now, self.seconds - (now - began)
                LOGGER.warning(
                    "%s: %s (%s): trying for another %.0f s", self.place, trouble.advice, trouble.reason, left
                )
            tries += 1
            time.sleep(min(wait, max(0.01, self.seconds - (now - began))))
            wait = min(2 * wait, LONGEST_WAIT)

    def _fault(self, trouble: Trouble, waited: float) -> StoreFault:
        after = f" for {waited:.0f} s" if trouble.passes else ""
        again = "; what was recorded is safe, and the same command goes on from there" if trouble.passes else ""
        return StoreFault(f"the store {self.place} cannot be used: {trouble.advice}{after}{again} ({trouble.reason})")


def diagnosed(error: BaseException) -> Trouble | None:
    """What an error says of the store; None where it is of another kind."""
    if isinstance(error, UserError):
        return None
    chain = list(_chain(error))
    local = any(hasattr(each, "orig") for each in chain)  # a database's error, which MLflow dresses as a server's
    for each in chain:
        code = each.errno if isinstance(each, OSError) else None
        if code in FULL_CODES or code in READ_ONLY_CODES:
            return Trouble(FULL if code in FULL_CODES else READ_ONLY, False, _reason(each))
    said = " ".join(str(each).lower() for each in chain)
    for advice, passes, texts in TEXTS:
        if any(text in said for text in texts):
            return Trouble(advice, passes, _reason(error))
    for each in chain:
        status = None if local else _status(each)
        if status in GONE_STATUS or status in DENIED_STATUS:
            return Trouble(GONE if status in GONE_STATUS else DENIED, status in GONE_STATUS, _reason(each))
        if isinstance(each, ConnectionError | TimeoutError):
            return Trouble(GONE, True, _reason(each))
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        original: Any = getattr(error, "orig", None)  # SQLAlchemy's
        error = error.__cause__ or error.__context__ or (original if isinstance(original, BaseException) else None)


def _status(error: BaseException) -> int | None:
    """The HTTP status that an answer had, where the error knows it."""
    response: Any = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status is None and hasattr(error, "get_http_status_code"):
        status = error.get_http_status_code()
    return status if isinstance(status, int) else None


def _reason(error: BaseException) -> str:
    """The first line of an error, without secrets."""
    lines = str(error).strip().splitlines()
    return locations.shown(lines[0])[:REASON_CHARACTERS] if lines else type(error).__name__
