"""What can be learnt: one file per kind of task."""
