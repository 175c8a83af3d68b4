"""Whole trading lives in virtual time, in one process and without a socket: what can go wrong does, and is looked at.

The real engine, the real exchange and the real way of starting anew, in a thin shell; everything between them may
lose, double, delay and reorder what it carries, and every process may be killed. A life is drawn from its seed alone
(`scenario.py`), so that a failure can be seen again, and cut down to the troubles that it needs (`shrinking.py`).
Run it with `scripts/simulate`. It reads no clock and no file but a tape.

    agenda.py          virtual time
    venue.py           the broker over the exchange, in contract_values.py; market_walk.py trades and bars
    simulated_rows.py  the database, leases and journals; trail.py how a trader sees them
    wires.py           link, account manager and feeds between trader and broker
    heat_office.py     the portfolio server over its real ledger, and what traders and it say to each other
    trader_life.py     one life of a trader; seat.py one life after the other, by the one path of recovery
    erratic.py         a strategy that does anything a strategy may
    troubles.py        what can go wrong, and how it is drawn; weather.py what goes wrong now
    invariants.py      what must hold after every event; last_look.py what in the end
    loss_oracle.py     what a session has lost
    scenario.py        all that a seed draws; world.py lives it
    shrinking.py       fewer troubles that still break the same; story.py the life as a table
    campaign.py        many lives on some cores

What it leaves out: sockets, threads, the real SQL, heat in groups and of an account's equity, the account's own
day for loss limits, the rule by which a roll falls due, the market's closed hours and a broker's own wire
protocol; drills (`tests/drills`, `scripts/chaos`) are for those. Orders that a trader sends whose machine's clock
was wrong at its start, and whose reply was lost, may be taken for a stranger's; and one that is lost on its way
looks like what a stranger places by hand at that time. A change that the broker does only after the life is over
that has asked for it and given it up closes entries. These alone are not blamed.
"""
