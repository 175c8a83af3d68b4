"""`core.keeper`: sees that exactly the sessions that should run have their groups, and serves tradectl.

    main.py           the process
    commands.py       sessions on command; session_checks.py, strategy_check.py what a new one must pass
    sessions.py       the rows of the database beside the programs of supervisord; schedule.py which are due
    portfolios.py     portfolios on command
    latches.py        halt, reduce, resume, flatten; unstored.py what of them is not in the database yet
    lists.py          what people ask for; acknowledge.py what a person has seen
    warden_watch.py   who watches the watcher; aside_watch.py the files of groups that were put aside

Start reading at `main.py`.
"""
