"""Runs: from an experiment to recorded trials, estimates, claims and pages."""
