"""One folder a kind of process: `python -m tradeproc.procs <kind> [arguments]` runs its `main`.

Inside: thin shells that turn messages into events and effects into calls, each with `main(arguments) -> int`. Never:
a decision about money, which is the engine's.

    trader/ account/                     the two processes of a session
    link/ feeds/                         those of a broker login
    tokens/ portfolio/ keeper/ jobs/ postgres/    the core
    warden/ localbroker/ notifier/       each a group of its own

What several of them share:

    entry.py          logs, signals, exit codes
    session_start.py  how the processes of a session begin; market_hours_file.py what a person changes of the calendar
    follower.py       follows a feed of a link; needs.py who needs which
    lanes.py          threads for calls that may hang
    token_source.py   how links and feeds ask for tokens

Start reading at `trader/trading.py`.
"""
