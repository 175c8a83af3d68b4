"""TODO-docstring of store."""
