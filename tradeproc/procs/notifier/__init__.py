"""`notifier.notifier`: brings alarms to people, over whatever service they read.

    main.py           hears alarms, asks what stands, and sends what is due
    alarm_sources.py  what stands according to each of those that know it; pure
    telling.py        what each target is to be told next: (state, what stands, now) -> message; pure
    wording.py        the text of a message, with what tradeproc did and what to do, for each name of an alarm; pure
    told_file.py      what was heard and told, on the disk
    services.py       loads those services of apprise that are used
    targets.py        one thread a target, so that one that hangs holds up no other

Start reading at `telling.py`.
"""
