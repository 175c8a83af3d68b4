"""The commands of tradectl, one module a group; each has `add(subparsers)` and functions `(desk, arguments) -> Outcome`."""
