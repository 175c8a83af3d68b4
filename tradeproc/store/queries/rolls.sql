-- name: save_roll
-- A step that is told twice is kept once. With the step "switched" the session's contract becomes the next one, in the
-- same transaction, unless another trader holds the session's lease.
with kept as (
    insert into rolls (id, session, contract, next_contract, step, by, reason, quantity, reopen, spread, price, stop,
        target, close_orders, entry_orders, market_at, began_at, at)
    select %(id)s, %(session)s, %(contract)s, %(next_contract)s, %(step)s, %(by)s, %(reason)s, %(quantity)s,
        %(reopen)s, %(spread)s, %(price)s, %(stop)s, %(target)s, %(close_orders)s, %(entry_orders)s, %(market_at)s,
        %(began_at)s, %(at)s
    where %(step)s <> 'switched' or exists (
        select from sessions where id = %(session)s and fence = coalesce(%(fence)s::bigint, fence))
    on conflict do nothing
    returning id
)
update sessions
set spec = jsonb_set(spec, '{contract}', to_jsonb(%(next_contract)s::text)), changed_at = %(at)s
where id = %(session)s and %(step)s = 'switched' and spec ->> 'contract' = %(contract)s
    and exists (select from kept)
returning id

-- name: rolls
-- The step that each roll has reached. Orders are only ever added to a roll and its contract is changed once, so rows
-- that a journal brings late, after those of another life, do not turn it back.
select * from (
    select distinct on (id) * from rolls
    where %(session)s::bigint is null or session = %(session)s::bigint
    order by id, step in ('rolled', 'given_up') desc, step in ('switched', 'reopening') desc,
        length(entry_orders) desc, length(close_orders) desc, number desc) newest
order by number

-- name: save_roll_volume
-- What was told of a day first stays.
insert into roll_volumes (session, contract, next_contract, day, volume, next_volume, at)
values (%(session)s, %(contract)s, %(next_contract)s, %(day)s, %(volume)s, %(next_volume)s, %(at)s)
on conflict do nothing
returning session

-- name: roll_volumes
select * from roll_volumes where session = %(session)s order by day, contract

-- name: roll_history
-- The newest hundred rolls with what their orders closed and opened; a price is null where one of its fills has none.
select newest.*, closed.filled as closed, closed.price as closed_price, opened.filled as opened,
    opened.price as opened_price
from (
    select * from (
        select distinct on (id) * from rolls
        where %(session)s::bigint is null or session = %(session)s::bigint
        order by id, step in ('rolled', 'given_up') desc, step in ('switched', 'reopening') desc,
            length(entry_orders) desc, length(close_orders) desc, number desc) steps
    order by number desc limit 100) newest
left join lateral (
    select coalesce(sum(filled), 0)::bigint as filled,
        case when bool_or(filled > 0 and average is null) then null
            else round(sum(filled * average) filter (where filled > 0) / nullif(sum(filled), 0), 10) end as price
    from orders where session = newest.session and id = any(string_to_array(newest.close_orders, ' '))) closed on true
left join lateral (
    select coalesce(sum(filled), 0)::bigint as filled,
        case when bool_or(filled > 0 and average is null) then null
            else round(sum(filled * average) filter (where filled > 0) / nullif(sum(filled), 0), 10) end as price
    from orders where session = newest.session and id = any(string_to_array(newest.entry_orders, ' '))) opened on true
order by newest.number

-- name: newest_roll_volumes
select * from (select * from roll_volumes order by day desc limit 5000) newest order by session, day
