"""TODO-docstring of bus."""
