"""tradeproc: trade futures strategies with real money, unattended, and sleep.

    broker ──HTTP streams──▶ feeds (bars-… orders-… positions-…)        one process each
       ▲                        │ ZeroMQ pub/sub
       │                        ▼
       └──REST── link ◀─req─ account ◀─req─ trader ──▶ PostgreSQL        supervisord keeps all of them alive

A tick:  procs/bars.py reads the stream → bus/ publishes `candle` → procs/trader.py → engine/trader.py `step`
         → engine/candles.py tells what is new → a new closed bar runs strategies/<name>.py `on_candle` → a decision.
An order: decision → engine/limits.py admits it → effect Persist → store/ writes it (pre_sent) → effect Send
         → procs/account.py → procs/link.py → brokers/<key>/ sends it once → procs/orders.py hears the broker's
         stream → engine/orders.py moves the order by its table → store/ appends the event and the fill.

domain/       values: units, instruments, market hours, candles, orders, fills, sessions, answers
market/       tapes as files hold them, of any vendor: bytes in, numpy arrays out
protocol/     pure: what processes say to each other; their names and scopes
engine/       pure: (state, event, now) -> effects; order table, limits, candles, reconciliation
strategies/   the strategy contract, the loader and three examples
brokers/      the broker contract, then one folder a broker
bus/          ZeroMQ: addresses, envelope, the Node every process is built on
store/        PostgreSQL: schema, queries, lease, journal
config/       conf/tradeproc.toml as values, refused as a whole when in doubt
procs/        one module a process
supervision/  supervisord: groups, restart rules, its extension
localbroker/  a broker on loopback that speaks the real wire protocol, and breaks on demand
cli/          tradectl, quickstart and its view, healthcheck, benchmarks

errors.py has the four verdicts, clock.py the only reader of time, home.py the folders of an installation, folders.py
keeps them ours alone, durable.py files that outlive a loss of power, logs.py how all log.
"""

__version__ = "0.1.0"
