"""One module a process: `python -m tradeproc.procs <kind> [arguments]` runs `procs/<kind>.py`.

Inside: thin shells that turn messages into events and effects into calls, each with `main(arguments) -> int`. Never:
a decision about money, which is the engine's.

    entry.py          what all share: logs, signals, exit codes; parameters.py reads what they are asked
    bars.py orders.py positions.py   one stream each, on feed.py; account_feed.py is what the last two share
    link.py           REST of a login; lanes.py its threads, feed_keeper.py and needs.py which feeds run
    account.py        order operations and account events of a session; follower.py follows a feed
    trader.py         starts a trader, as specification.py says; trading.py its events, perform.py its effects,
                      terms.py the contract as the broker has it,
                      ledger.py where it writes, recorder.py what it was told,
                      decision_book.py what its strategy wanted,
                      trader_commands.py summary.py bodies.py tally.py what it tells,
                      trader_hours.py when its market and its schedule end; market_hours_file.py what a person
                      changes of that
    tokens.py         login_tokens.py one login's, token_supply.py and consent.py where they come from,
                      token_vault.py where they rest, token_source.py how others ask for them
    keeper.py         keeper_commands.py keeper_checks.py keeper_sessions.py keeper_schedule.py which sessions run,
                      strategy_check.py a strategy tried in a process of its own,
                      keeper_latches.py halts, unstored.py until they are stored,
                      keeper_lists.py what people ask for, keeper_watch.py the warden,
                      keeper_acknowledge.py what a person has seen
    warden.py         warden_alarms.py what it tells, warden_halts.py how it has entries halted
    portfolio.py      portfolio_sum.py the sum over sessions
    jobs.py           queue_worker.py the job queue
    postgres.py localbroker.py       the embedded database, the local broker

Start reading at `trader.py` and `trading.py`.
"""
