"""The commands of tradectl, one module a group; each has `add(…)` and functions `(desk, arguments) -> Outcome`."""
