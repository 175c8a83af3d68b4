"""Every step of the order path, and a desk whose processes are killed at each of them.

`points.py` finds the steps in the code, `order_path.py` says in which modules, `injected/` brings them into the
processes of a desk, `kills.py` plays the cases; `scripts/chaos --steps` plays all, a test some of every kind.
"""
