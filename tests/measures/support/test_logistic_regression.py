"""Multinomial logistic regression against scikit-learn, and whitening, which makes coordinates irrelevant."""

from __future__ import annotations

import numpy as np
import pytest

from farback.measures.support.logistic_regression import logistic_regression, whitened


def test_problems_fitted_together_equal_scikit_learn_fits_of_each(rng: np.random.Generator) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    x_NF = rng.normal(size=(300, 6))
    score = x_NF @ rng.normal(size=(6, 5)) + 2 * rng.gumbel(size=(300, 5))
    label_NP = np.stack([score.argmax(1), score[:, :2].argmax(1), rng.permutation(score[:, :3].argmax(1))], 1)
    weight_NP = rng.uniform(0, 2, size=(300, 3))
    log_p = logistic_regression(x_NF[:200], label_NP[:200], weight_NP[:200], np.array([5, 2, 3]), x_NF[200:])
    for p, count in enumerate((5, 2, 3)):
        strength = 1.0 if count > 2 else 2.0  # scikit-learn penalises the difference of two classes: half as much
        model = linear_model.LogisticRegression(C=strength, tol=1e-8, max_iter=2000)
        model.fit(x_NF[:200], label_NP[:200, p], sample_weight=weight_NP[:200, p])
        assert log_p[:, p, :count] == pytest.approx(model.predict_log_proba(x_NF[200:]), abs=5e-3)
        assert np.exp(log_p[:, p]).sum(1) == pytest.approx(np.ones(100))
        assert (log_p[:, p, count:] == -np.inf).all()


def test_whitened_features_are_uncorrelated_with_unit_variance_in_any_coordinates(
    rng: np.random.Generator,
) -> None:
    x_NF = rng.normal(size=(400, 4))
    mixed = x_NF @ rng.normal(size=(4, 4)) * [1e-3, 1, 1e4, 1] + 7
    more = np.column_stack([mixed, mixed[:, 0] - mixed[:, 2], np.full(400, 5.0)])
    white, again = whitened(x_NF, x_NF)[0], whitened(more, more)[1]
    assert again.shape == (400, 4)
    assert again.T @ again / 400 == pytest.approx(np.eye(4), abs=1e-6)
    assert again @ again.T == pytest.approx(white @ white.T, abs=1e-5)
