"""The pure trading engine: `step(state, event, now)` answers with effects, and nothing here does anything by itself.

Never here: a clock, a socket, a file, chance, a log, a broker's name. `now` is the wall clock and comes with each
event; market time comes with the candles. Equal states and events give equal effects.

    trader.py         what each event leads to; turn.py collects the effects of one event in the order safety wants
    events.py         what can happen; effects.py what the shell then does; alarms.py the names of the alarms
    state.py          the three kinds of state: the strategy's, the engine's, what the broker confirmed
    market.py         candles in, strategy calls out; strategy.py the calls, and where a fault of a strategy ends
    decisions.py      what a strategy decided, decision_limits.py what it was held against; rounding.py its prices;
                      idle.py why nothing is entered
    limits.py         what may stop an entry, and why nothing stops an exit; order_limits.py an odd or frequent entry,
                      freshness.py old market data, witness.py prices that another login contradicts (it remembers
                      in witness_watch.py and hears witness_events.py),
                      loss_limits.py losses, counted by loss_marks.py in what loss_watch.py remembers;
                      joint_losses.py losses of a portfolio or an account, which its server counts
    orders.py         the life of an order as a table; sending.py orders on their way; outcomes.py what became of it
    heat.py           the money at the stops; reservations.py what is asked before it grows, heat_book.py the asks,
                      heat_report.py what the portfolio server is told, joint_report.py for its other limits
    broker_events.py  what the broker tells by itself; recognition.py which of its orders are ours
    polling.py        when the broker is asked for orders, resting.py for those that rest
    reconcile.py      our orders against the broker's, lost_legs.py those of a filled entry; positions.py our position
                      against the broker's, late_fills.py what must have filled though nobody has told it
    external.py       what changed by no order of ours, as rows of the books; vanished.py stops that ended so;
                      amended_orders.py orders whose prices or quantity somebody changed
    inert_stops.py    orders that the market trades through and the broker does not execute; traded_through.py
                      which those are
    adoption.py       such a position taken into the session; adopt_command.py by a person, with a stop
    unpriced.py       fills that are told without a price
    protection.py     every open contract has a working stop; oversized.py nothing could close more than is held
    closed_entries.py no entry works on while trading is closed
    closing.py        how a position is closed; early_close.py when the market turns out to be closed,
                      liquidation.py how that of a session whose trader is gone
    rolls.py          out of one contract and into the next, step by step, reopening.py there; roll_state.py what it
                      remembers, roll_progress.py how it waits and ends, roll_events.py what it hears
    latched_by.py     who sets a latch of itself, as its row names it
    commands.py       latches, flatten, reconcile, stop, the lease
    remembered.py     what a new life knows from rows
    recording.py      events as lines; replay.py runs a recorded life again

Start reading at `trader.py`, then `events.py`, `effects.py`, `state.py`, `orders.py` and `limits.py`.
"""
