"""What a person or cron runs: tradectl, the quickstart with its live view, and the health check.

Nothing here decides anything about trading: commands ask the processes over the bus and show the answer.

exits.py         exit codes and how an error becomes one line with a remedy
desk.py          one installation as seen from the command line: bus client, supervisord, configuration
tradectl.py      the arguments of tradectl; commands/ holds one module a group of commands
tables.py        pure: rows and rich tables of sessions, orders, trades, processes
chart.py view.py screen.py   pure: candles as text, the one-screen view, and what it shows
watch.py         gathers what the view shows from the bus
quickstart.py    the first command of the README, and demo.py what it sets up
health.py        pure: observations and thresholds become problems; healthcheck.py collects and prints

Start reading at tradectl.py.
"""
