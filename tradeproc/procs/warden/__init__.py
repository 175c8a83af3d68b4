"""`warden.warden`: restart rules, hung processes, alarms about both.

    main.py          the process
    alarms.py        what it tells; halts.py how it has entries halted

Start reading at `main.py`.
"""
