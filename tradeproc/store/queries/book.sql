-- name: save_fill
insert into fills (order_id, broker_id, session, contract, side, quantity, cumulative, price, at, market_at)
values (%(order_id)s, %(broker_id)s, %(session)s, %(contract)s, %(side)s, %(quantity)s, %(cumulative)s, %(price)s,
    %(at)s, %(market_at)s)
on conflict (order_id, cumulative) do nothing
returning number

-- name: fills
select * from fills where session = %(session)s order by number

-- name: newest_fills
select * from fills
where %(session)s::bigint is null or session = %(session)s::bigint
order by number desc
limit %(limit)s

-- name: save_position
insert into positions (session, account, contract, quantity, average, source, at)
select %(session)s, %(account)s, %(contract)s, %(quantity)s, %(average)s::numeric, %(source)s, %(at)s
where (%(account)s::text, %(quantity)s::integer, %(average)s::numeric) is distinct from (
    select (account, quantity, average) from positions
    where session = %(session)s and contract = %(contract)s
    order by number desc limit 1)
returning number

-- name: positions
select distinct on (session, contract) session, account, contract, quantity, average, source, at
from positions
where %(session)s::bigint is null or session = %(session)s::bigint
order by session, contract, number desc

-- name: save_balance
insert into balances (account, currency, cash, equity, realized, unrealized, at)
select %(account)s, %(currency)s, %(cash)s, %(equity)s, %(realized)s, %(unrealized)s, %(at)s
where (%(currency)s::text, %(cash)s::numeric, %(equity)s::numeric, %(realized)s::numeric, %(unrealized)s::numeric)
    is distinct from (
    select (currency, cash, equity, realized, unrealized) from balances
    where account = %(account)s
    order by number desc limit 1)
returning number

-- name: balances
select distinct on (account) account, currency, cash, equity, realized, unrealized, at
from balances order by account, number desc

-- name: save_trades
-- Trades follow from fills, so the newest computation replaces what differs and removes what is no longer there.
with computed as materialized (
    select * from jsonb_to_recordset(%(trades)s::jsonb) as trade (
        number integer, contract text, side side, quantity integer, entry_price numeric, exit_price numeric,
        entered_at bigint, exited_at bigint, profit numeric, entry_order text, exit_order text)
), gone as (
    delete from trades
    where session = %(session)s and not exists (select from computed where computed.number = trades.number)
)
insert into trades (session, number, contract, side, quantity, entry_price, exit_price, entered_at, exited_at, profit,
    entry_order, exit_order)
select %(session)s, number, contract, side, quantity, entry_price, exit_price, entered_at, exited_at, profit,
    entry_order, exit_order
from computed
on conflict (session, number) do update set contract = excluded.contract, side = excluded.side,
    quantity = excluded.quantity, entry_price = excluded.entry_price, exit_price = excluded.exit_price,
    entered_at = excluded.entered_at, exited_at = excluded.exited_at, profit = excluded.profit,
    entry_order = excluded.entry_order, exit_order = excluded.exit_order
where trades is distinct from excluded

-- name: trades
select * from trades where session = %(session)s order by number

-- name: newest_trades
select * from trades
where %(session)s::bigint is null or session = %(session)s::bigint
order by exited_at desc, session, number desc
limit %(limit)s

-- name: sessions_with_new_fills
-- Sessions whose trades do not yet cover every fill that closes something: told by contracts, not by time.
select distinct fills.session from fills
where fills.at >= %(since)s
order by fills.session

-- name: save_statistics
insert into session_statistics (session, day, trades, wins, losses, gross_profit, gross_loss, win_rate,
    profit_factor, drawdown, computed_at)
values (%(session)s, %(day)s, %(trades)s, %(wins)s, %(losses)s, %(gross_profit)s, %(gross_loss)s, %(win_rate)s,
    %(profit_factor)s, %(drawdown)s, %(at)s)
on conflict (session, day) do update set trades = excluded.trades, wins = excluded.wins, losses = excluded.losses,
    gross_profit = excluded.gross_profit, gross_loss = excluded.gross_loss, win_rate = excluded.win_rate,
    profit_factor = excluded.profit_factor, drawdown = excluded.drawdown, computed_at = excluded.computed_at

-- name: statistics
select * from session_statistics where session = %(session)s order by day
