"""A trial is one training of one network; trials of one shape train together as a cohort, and events report how."""
