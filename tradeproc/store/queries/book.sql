-- name: fills
select * from (
    select * from fills
    where %(session)s::bigint is null or session = %(session)s::bigint
    order by number desc
    limit %(limit)s) newest
order by number

-- name: save_position
insert into positions (session, account, contract, quantity, average, source, at)
select %(session)s, %(account)s, %(contract)s, %(quantity)s, %(average)s::numeric, %(source)s, %(at)s
where (%(account)s::text, %(quantity)s::integer, %(average)s::numeric) is distinct from (
    select (account, quantity, average) from positions
    where session = %(session)s and contract = %(contract)s
    order by number desc limit 1)
    and not exists (
    select from positions where session = %(session)s and contract = %(contract)s and at = %(at)s)
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
    and not exists (select from balances where account = %(account)s and at = %(at)s)
returning number

-- name: save_loss_marks
-- A journal may repeat older ones: a day that is over and a re-arming that was followed by another do not come back.
insert into loss_marks (session, day_opened_at, day_start, peak, armed_at, account_start)
values (%(session)s, %(day_opened_at)s, %(day_start)s, %(peak)s, %(armed_at)s, %(account_start)s)
on conflict (session) do update set day_opened_at = excluded.day_opened_at, day_start = excluded.day_start,
    peak = excluded.peak, armed_at = excluded.armed_at, account_start = excluded.account_start
where (excluded.day_opened_at, excluded.armed_at) >= (loss_marks.day_opened_at, loss_marks.armed_at)
returning session

-- name: loss_marks
select session, day_opened_at, day_start, peak, armed_at, account_start from loss_marks where session = %(session)s

-- name: balances
select distinct on (account) account, currency, cash, equity, realized, unrealized, at
from balances order by account, number desc

-- name: save_trades
-- Trades follow from fills, so the newest computation replaces what differs and removes what is no longer there.
-- A computation that has seen fewer fills than an earlier one changes nothing.
with seen as (
    insert into trades_computed (session, fills, at) values (%(session)s, %(fills)s, %(at)s)
    on conflict (session) do update set fills = excluded.fills, at = excluded.at
    where trades_computed.fills <= excluded.fills
    returning session
), computed as materialized (
    select trade.* from seen, jsonb_populate_recordset(null::trades, %(trades)s::jsonb) as trade
), gone as (
    delete from trades using seen
    where trades.session = seen.session
        and not exists (select from computed where computed.number = trades.number)
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
returning number

-- name: trades
select * from (
    select * from trades
    where %(session)s::bigint is null or session = %(session)s::bigint
    order by exited_at desc, session desc, number desc
    limit %(limit)s) newest
order by exited_at, session, number

-- name: sessions_with_new_fills
-- Found by the number of fills, not by time, because fills are only ever added.
select booked.session
from (select session, count(*) as fills from fills group by session) booked
left join trades_computed using (session)
where booked.fills > coalesce(trades_computed.fills, 0)
order by booked.session
