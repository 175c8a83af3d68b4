"""TODO-docstring of engine."""
