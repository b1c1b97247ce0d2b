"""The roles of trials that were chosen during a run."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd


def with_roles(scores: pd.DataFrame, roles: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """The scores with two more columns, if some trials have a role: `role` and `tuned`, missing for other trials.

    Args:
        roles: the role of a trial ("choice": it helped to choose a tuned setting; "judged") and its tuned setting as
            text (empty if nothing is tuned), by key.
    """
    if not roles:
        return scores
    role = scores["key"].map({key: role for key, (role, _) in roles.items()})
    return scores.assign(role=role, tuned=scores["key"].map({key: tuned for key, (_, tuned) in roles.items() if tuned}))
