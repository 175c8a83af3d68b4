"""What a person or cron runs: tradectl, the quickstart with its live view, the health check, the benchmarks.

Nothing here decides anything about trading: commands ask the processes over the bus and show the answer.

    exits.py          exit codes and how an error becomes one line with a remedy
    desk.py           one installation as seen from the command line: bus client, supervisord, configuration
    lookup.py         the session that a person names, to look at; words.py pure: fields as times and words
    reader.py         output that nobody reads to the end
    tradectl.py       the arguments of tradectl; commands/ one module a group of commands, outcome.py what one found
    configured.py     what a start makes sure of: the configuration as a whole
    switches.py       halt and flatten on their way to the traders; exposure.py what is open where no trader runs,
                      closing.py what traders still close
    life.py           which life of a desk a quickstart started, so that it acts on no other
    readiness.py      whether what was started is up, and why not
    rollout.py        a running desk onto new code; consent_listener.py hears the browser at a login
    tables.py         pure: tables of sessions, orders, trades, processes
    layout.py         pure: columns and rows become a table that fits where it is printed, of texts as they are
    chart.py view.py screen.py   pure: candles as text, the one-screen view, and what it shows
    why.py            why a session does not trade, in one line
    watch.py          gathers what the view shows; listening.py hears many processes at once
    quickstart.py     the first command of the README; preflight.py what it makes sure of before,
                      foreign_tape.py a tape of somebody's own,
                      verdict.py what it says of the strategy at the end
    health.py         pure: observations.py and thresholds become problems.py; healthcheck.py prints them
    running.py        its rules about what must run; standing.py those about what stands: alarms, long starts
    collector.py      looks at supervisord, processes and disk for it; books.py at the database
    bench/            the benchmarks

Start reading at `tradectl.py`.
"""
