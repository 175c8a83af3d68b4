"""The commands of tradectl, one module a group; each has `add(…)` and functions `(desk, arguments) -> Outcome`.

    desks.py          up, down, status; upgrade.py new code into a running desk
    sessions.py       trading sessions; stopping.py what a stop says when the keeper has nothing to do, or is away
    portfolio.py      portfolios, whose sessions' heat is limited together
    trading.py        halt, resume, reduce, flatten; flattening.py the kill switch
    rolling.py        out of one contract and into the next
    records.py        what the database knows; watching.py what the processes say; alarm_test.py a test message
    explaining.py     the story of one order; replaying.py a recorded life of a trader, run again
    acknowledge.py    what a person has seen of divergences and alarms; adopting.py a position taken into its session
    login.py          log in at a broker; localbroker.py control the local broker,
                      rewinding.py begin its tape again
    tape.py           what is understood of a tape's file

Start reading at `sessions.py`.
"""
