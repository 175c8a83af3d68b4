"""TODO-docstring of brokers."""
