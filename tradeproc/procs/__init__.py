"""TODO-docstring of procs."""
