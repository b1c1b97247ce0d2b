"""A trial is one training of one network. Trials of one shape train together as a cohort, which reports events."""
