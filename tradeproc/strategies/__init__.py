"""TODO-docstring of strategies."""
