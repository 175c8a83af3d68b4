"""What a person or cron runs: tradectl, the quickstart with its live view, the health check.

Nothing here decides anything about trading: commands ask the processes over the bus and show the answer. What they
share with other faces of a desk is in `tradeproc/desk/`.

    tradectl.py       the arguments of tradectl; commands/ one module a group of commands, outcome.py what one found
    reporting.py      errors and answers as they are printed; reader.py output that nobody reads to the end
    configured.py     what a start makes sure of: the configuration as a whole
    rollout.py        a running desk onto new code; consent_listener.py hears the browser at a login
    tables.py         pure: tables of sessions, orders, trades, processes; words.py fields as times and words
    layout.py         pure: columns and rows become a table that fits where it is printed, of texts as they are
    chart.py view.py screen.py   pure: candles as text, the one-screen view, and what it shows
    why.py            why a session does not trade, in one line
    watch.py          gathers what the view shows
    quickstart/       the first command of the README
    healthcheck.py    prints what desk/health.py found; ping.py tells a dead man's switch

Start reading at `tradectl.py`.
"""
