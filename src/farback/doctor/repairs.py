"""Doing what the findings say is safe. Nothing is deleted but what nothing needs, and every step may be repeated."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from typing import Any

from filelock import FileLock, Timeout

from farback.doctor.findings import End, Finding, GiveUp, Log, Mend, Remove, Rename, SetTag
from farback.stores import locations


def mend(findings: Iterable[Finding], client: Any) -> tuple[list[Finding], list[Finding]]:
    """Do what is safe, in the order of the findings.

    Args:
        findings: of an examination that has just been made.
        client: an MLflow client of the store; None where it could not be opened.

    Returns:
        The findings that were mended; and a new one for each that should have been, but for an error on the way.
    """
    done, failed = [], []
    for finding in findings:
        try:
            outcomes = [_done(each, client) for each in finding.mends]
        except Exception as error:  # a full disk, a server that is gone: the other findings may still be mended
            reason = locations.shown(str(error).splitlines()[0]) if str(error) else repr(error)
            what = f"could not be mended: {reason}"
            failed.append(Finding("error", "repair", what, finding.where, finding.experiment, "repair again"))
        else:
            done += [finding] if outcomes and all(outcomes) else []
    return done, failed


def _done(mend: Mend, client: Any) -> bool:
    """Whether it was done; not where the world has changed since it was looked at."""
    match mend:
        case SetTag():
            client.set_tag(mend.run_id, mend.name, mend.value)
        case End():
            return _ended(mend, client)
        case Log():
            return _logged(mend, client)
        case Rename():
            return _renamed(mend)
        case Remove():
            return _removed(mend)
        case GiveUp():
            return _given_up(mend)
    return True


def _ended(mend: End, client: Any) -> bool:
    run = client.get_run(mend.run_id)
    if run.info.status != "RUNNING" or run.data.tags.get("owner", "") != mend.owner:
        return False
    client.set_tag(mend.run_id, "status", "killed")
    client.set_tag(mend.run_id, "killed", f"its driver {mend.owner} is gone")
    client.set_terminated(mend.run_id, "KILLED")
    return True


def _logged(mend: Log, client: Any) -> bool:
    """Only where it helps: the last value, to MLflow, is that of the largest step, and of several the latest."""
    names = {point.name: point.step for point in reversed(mend.points)}
    for name, last in names.items():
        if any(old.step > last for old in client.get_metric_history(mend.run_id, name)):
            return False
    now = time.time_ns() // 1_000_000
    for point in mend.points:
        client.log_metric(mend.run_id, point.name, point.value, timestamp=now, step=point.step)
    return True


def _renamed(mend: Rename) -> bool:
    numbers = itertools.chain([""], (f".{number}" for number in itertools.count(2)))
    free = (mend.path.with_name(f"{mend.path.name}{number}{mend.suffix}") for number in numbers)
    if mend.path.exists():
        mend.path.rename(next(path for path in free if not path.exists()))
    return True


def _removed(mend: Remove) -> bool:
    if mend.lock is None:
        mend.path.unlink(missing_ok=True)
        return True
    try:
        with FileLock(mend.lock, timeout=0):
            mend.path.unlink(missing_ok=True)
    except Timeout:
        return False
    return True


def _given_up(mend: GiveUp) -> bool:
    from farback.stores.studies import give_up, opened, quiet

    storage = opened(mend.uri)
    with quiet(), storage.alone:
        return give_up(storage.optuna, mend.trial_id, mend.reason)
