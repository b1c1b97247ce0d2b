"""How much each searched parameter mattered."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import optuna
import pandas as pd
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import TrialState

from farback.stores.studies import quiet

BEST_SHARE = 0.25  # Optuna's default of a tenth is two or three trials of our searches...
FEWEST_BEST = 5  # ...and Optuna documents that PED-ANOVA needs five of the best to be stable
COLUMNS = ("group", "parameter", "importance")
HAS_TARGET_QUANTILE = "target_quantile" in inspect.signature(PedAnovaImportanceEvaluator).parameters


def importances(studies: Mapping[str, optuna.Study]) -> pd.DataFrame:
    """PED-ANOVA: how much a parameter's distribution among the best quarter of the trials differs from all trials.

    It shows what the search had to get right to be among its best. A parameter that is good at every value has no
    importance, and one that the sampler soon fixed is underestimated. With two objectives, the best trials are those
    nearest to the Pareto front.

    Returns:
        group ("" without groups), parameter (dotted path), importance (shares that sum to 1), the largest of each group
        first. A group has no rows if it has fewer than 20 trials or if their values are all alike.

    Source: Watanabe, Bansal and Hutter 2023 (2304.10255), as in Optuna.
    """
    rows = [(group, name, share) for group, study in studies.items() for name, share in _shares(study).items()]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"importance": float})


def _shares(study: optuna.Study) -> dict[str, float]:
    if BEST_SHARE * len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < FEWEST_BEST:
        return {}
    if not HAS_TARGET_QUANTILE and len(study.directions) > 1:  # Optuna 4.0 has no importances for two objectives
        return {}
    options: dict[str, Any] = {"target_quantile" if HAS_TARGET_QUANTILE else "baseline_quantile": BEST_SHARE}
    evaluator = PedAnovaImportanceEvaluator(**options)
    with quiet():
        divergences = optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False)
    total = sum(divergences.values())  # 0 if the values of all trials are alike
    return {name: divergence / total for name, divergence in divergences.items()} if total else {}
