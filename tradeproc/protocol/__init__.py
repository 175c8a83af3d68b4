"""What processes say to each other: names, scopes, topics, methods and the bodies of messages.

All are values and types that are built and read in one place.

Pure: no socket, no clock. The bus carries these as texts; nobody else puts them together or takes them apart.

    names.py         processes and the groups they run in, as `session-7.trader` in `session-7`
    scopes.py        what a latch or an alarm is about, as `session:7`
    session_messages.py switch_messages.py book_messages.py   what the keeper is asked and tells
    feed_messages.py link_messages.py account_messages.py     what the feeds, the link and the account manager say
    trader_messages.py alarms.py process_messages.py          the trader; alarms of all; what every process says
    notifier_messages.py                                      what the notifier is asked
    token_messages.py portfolio_messages.py                   logins and their tokens; the sum over the sessions
    heat_messages.py portfolio_commands.py                    heat, between traders and their server; portfolios
    definitions.py   what a topic and a method are: a name, the types of what is said, who says it
    codec.py         a type as the form of a message, with both ways derived from the type
    reading.py quick.py writing.py   the ways: the exact reader, the quick one before it, the writer
    variants.py derived.py           values that share a place and how they are told apart; what is asked of a type

Start reading at `definitions.py`.
"""
