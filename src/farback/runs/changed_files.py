"""Says when files of the project have changed since trials with them were recorded: those trials are not reused."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from farback.stores.base import Store
from farback.system.provenance import OWN_FILES
from farback.trials.trial import Trial

log = logging.getLogger("farback")


def warn_of_changed_files(store: Store, experiment: str, trials: Iterable[Trial]) -> None:
    """Log a warning for each file of the project that has changed since it was used, if trials with it are to train.

    The recorded trials stay in the store. They are compared by the digest of the file, which is part of their keys.
    """
    using = [trial for trial in trials if any(part.used_file for part in trial.components)]
    recorded = store.provenance(experiment) if using else {}
    due = [part.used_file for trial in using if trial.key not in recorded for part in trial.components]
    now = {file.name: file.digest for file in due if file}
    counts: Counter[str] = Counter()
    for made in recorded.values() if now else ():
        for text in filter(None, made.get(OWN_FILES, "").split(", ")):
            name, _, digest = text.rpartition(" ")
            counts[name] += name in now and digest != now[name]
    for name, count in sorted(counts.items()):
        if count:
            log.warning(
                "%s has changed since %d recorded trials of %s were trained with it: they stay in the store, and the "
                "trials of the file as it is now are trained",
                name,
                count,
                experiment,
            )
