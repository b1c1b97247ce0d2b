"""Runs of experiments: train and record trials, estimate times, check claims and write pages."""
