"""TODO-docstring of cli."""
