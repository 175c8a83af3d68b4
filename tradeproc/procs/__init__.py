"""One module a process: `python -m tradeproc.procs <kind> [arguments]` runs `procs/<kind>.py`.

Inside: thin shells that turn messages into events and effects into calls, each with `main(arguments) -> int`. Never:
a decision about money, which is the engine's. `entry.py` is what all of them share: logs, signals, exit codes.
"""
