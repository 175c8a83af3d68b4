"""TODO-docstring of localbroker."""
