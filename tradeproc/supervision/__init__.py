"""TODO-docstring of supervision."""
