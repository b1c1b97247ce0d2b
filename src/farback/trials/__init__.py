"""A trial is one training of one network. Trials of the same shape train together as a cohort and emit events."""
