"""Code that several measures share: systems, Jacobians, regressions, decay curves, and lags."""
