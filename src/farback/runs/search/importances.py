"""How much each searched parameter mattered to a search."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import optuna
import pandas as pd
from optuna.trial import TrialState

BEST_SHARE = 0.25  # Optuna's tenth would be two or three trials of our searches...
FEWEST_BEST = 5  # ...where PED-ANOVA needs five among the best to be stable, as Optuna says
COLUMNS = ("group", "parameter", "importance")


def importances(studies: Mapping[str, optuna.Study]) -> pd.DataFrame:
    """PED-ANOVA: how differently a parameter is distributed among the best quarter of the trials and among all of them.

    It says what the search had to get right to be among its best, as far as the trials that it made can tell: a
    parameter whose every value was good has no importance, and one that the sampler soon fixed is underestimated. Of
    two objectives the best are those nearest to the front.

    Args:
        studies: by group ("" without groups).

    Returns:
        group, parameter (dotted path), importance (shares that sum to 1), the largest of each group first. A group has
        no rows where its trials are too few (below 20) or too equal to tell.

    Source: Watanabe, Bansal and Hutter 2023 (2304.10255), as in Optuna.
    """
    rows = [(group, name, share) for group, study in studies.items() for name, share in _shares(study).items()]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"importance": float})


def _shares(study: optuna.Study) -> dict[str, float]:
    if BEST_SHARE * len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < FEWEST_BEST:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    untold = any("importances will be equal" in str(warning.message) for warning in said)
    return {} if untold else dict(found)
