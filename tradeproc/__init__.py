"""tradeproc: trade futures strategies with real money, unattended, and sleep.

    broker ──HTTP streams──▶ feeds (bars-… orders-… positions-…)        one process each
       ▲                        │ ZeroMQ pub/sub
       │                        ▼
       └──REST── link ◀─req─ account ◀─req─ trader ──▶ PostgreSQL        supervisord keeps all of them alive

A tick:  procs/feeds/bars.py reads the stream → bus/ publishes `candle` → procs/trader/trading.py →
         engine/trader.py `step` → market/candle_series.py tells what is new → a new closed bar runs
         strategies/<name>.py `on_candle` → a decision.
An order: decision → engine/limits.py admits it → effect Persist → store/ writes it (pre_sent) → effect Send
         → procs/account/main.py → procs/link/main.py → brokers/<key>/ sends it once → procs/feeds/orders.py hears
         the broker's stream → engine/orders.py moves the order by its table → store/ appends the event and the fill.

domain/       values: units, instruments, market hours, candles, orders, fills, sessions, answers
protocol/     pure: what processes say to each other; their names and scopes
market/       pure: candle series, trades into bars, the tapes of other vendors
exchange/     pure: the matching engine
strategies/   the strategy contract, the loader and three examples
engine/       pure: (state, event, now) -> effects; order table, limits, reconciliation
simulation/   whole lives in virtual time, with all that can go wrong
brokers/      the broker contract, then one folder a broker
bus/          ZeroMQ: addresses, envelope, the Node every process is built on
store/        PostgreSQL: schema, queries, lease, journal
config/       conf/tradeproc.toml as values, refused as a whole when in doubt
supervision/  supervisord: groups, restart rules, its extension
localbroker/  a broker on loopback that speaks the real wire protocol, and breaks on demand
procs/        one folder a kind of process
desk/         what tradectl, the health check and other faces of a desk share
cli/          tradectl, quickstart and its view, healthcheck
testing/      what tests use, and authors of strategies and brokers in theirs
bench/        the benchmarks

errors.py has the four verdicts, clock.py the only reader of time, home.py the folders of an installation, folders.py
keeps them ours alone, durable.py files that outlive a loss of power, logs.py how all log.
"""

__version__ = "0.1.0"
