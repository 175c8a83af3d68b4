"""Values of the trade: units, instruments, candles, orders, fills, positions, answers, market hours.

Inside: frozen values and arithmetic on them. Never: a clock, a socket, a file, chance or a log.
Start reading at `units.py`, then `orders.py`.
"""
