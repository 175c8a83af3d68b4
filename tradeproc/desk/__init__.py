"""What tradectl, the health check and every other face of a desk share: asking it, judging it, switching it.

    installation.py   one installation: bus client, supervisord, configuration
    exit_status.py    exit codes, and how an error becomes one line with a remedy
    switches.py       halt and flatten on their way to the traders; exposure.py what is open where no trader runs,
                      flatness.py what traders still close
    kill_switch.py    all flat by whoever can: known_sessions.py which sessions there are, claim.py one owner each,
                      known_orders.py its orders, liquidator.py flat without a trader,
                      confirmation.py what the broker says in the end
    lookup.py         the session that a person names; listed.py a session as commands see it
    readiness.py      whether what was started is up, and why not; patience.py waits until it is
    joint_standing.py how much of the limits of portfolios and accounts is used
    recorded_life.py  runs a trader's recorded life through the engine again
    order_story.py    gathers the rows of an order, and the bar behind it; unwritten_rows.py those in journals still
    session_moment.py what a session knew at a moment, what it decided, why it did not trade
    subscriber.py     hears many processes at once
    collector.py      looks at supervisord, processes and disk; stored_facts.py at the database
    observations.py   what was seen, as values; health.py pure: observations and thresholds become health_problems.py
    must_run.py       the rules about what must run; standing.py those about what stands: alarms, long starts

Start reading at `installation.py`, then `health.py`.
"""
