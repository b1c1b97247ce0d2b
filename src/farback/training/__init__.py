"""Training: from a cohort of trials to a stream of events, resumable after every checkpoint."""
