"""Values of the trade: units, instruments, candles, orders, fills, positions, answers, market hours.

It holds frozen values and arithmetic on them. It uses no clock, socket, file, random number or log.

    units.py          ticks, prices, money, nanoseconds: one line of meaning each
    instruments.py    what is traded; market_hours.py when, out of calendar_table.py
    candles.py        ticks and candles
    orders.py         our orders; broker_orders.py the broker's, what is asked of it and the three outcomes
    book.py           what orders lead to: fills, positions, trades, balances, divergences
    fills.py          which fills stand when some were taken back; tally.py what they moved, for limits on losses
    answers.py        known or unknown: what asking the outside world can answer
    session.py        what a trading session is asked to do; schedule.py and wanted.py when it should run
    portfolio.py      sessions whose heat is limited together; joint_limits.py what else portfolios and accounts limit
    roll_rules.py     when a session leaves its contract and for which; roll_table.py the last day of each root's;
                      roll_volumes.py which of two trades more; roll_steps.py one roll as its rows tell it
    records.py        values from plain tables (TOML, JSON)
    texts.py          texts that UTF-8 or PostgreSQL cannot hold
    frozen.py         the dataclass of frozen values; backoff.py pauses between tries
    hosts.py          which hosts are this machine

Start reading at `units.py`, then `orders.py`.
"""
