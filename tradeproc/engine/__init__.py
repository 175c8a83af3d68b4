"""The pure trading engine: `step(state, event, now)` answers with effects, and nothing here does anything by itself.

Never here: a clock, a socket, a file, chance, a log, a broker's name. `now` is the wall clock and comes with each
event; market time comes with the candles. Equal states and events give equal effects.

Start reading at `trader.py` (what each event leads to), then `events.py` (what can happen), `effects.py` (what the
shell then does), `state.py` (the three kinds of state), `orders.py` (the life of an order as a table) and
`limits.py` (what may stop an entry, and why nothing stops an exit). `candles.py` holds candles as numpy arrays.
"""
