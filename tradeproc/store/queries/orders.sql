-- name: save_orders
-- One statement, so one round trip and one transaction. `holder` is empty when the fence is stale, and then
-- nothing is written; its share lock makes a new lease wait for us. Repeating is harmless: an event row is known by
-- its fingerprint, and an order moves only together with an event that is news. A closed order is opened again
-- only by an event that says so (its `before` is the present state). What a journal of an earlier version lacks has
-- its default here. Whether an event is known is looked up event by event: a join is planned for a hundred events, and
-- then reads the whole history while the server has no statistics of it, which cost an exit 10 ms.
with holder as materialized (
    select id from sessions
    where id = %(session)s and (%(fence)s::bigint is null or fence = %(fence)s::bigint)
    for share
), told as materialized (
    select * from jsonb_populate_recordset(null::order_events, %(events)s::jsonb) with ordinality
), news as (
    insert into order_events
        (order_id, sequence, at, source, before, after, what, filled, details, fingerprint)
    select told.order_id,
           coalesce((select max(sequence) from order_events known where known.order_id = told.order_id), 0)
               + row_number() over (partition by told.order_id order by told.ordinality),
           told.at, told.source, told.before, told.after, told.what, told.filled, told.details, told.fingerprint
    from holder, told
    where (
        select known.sequence from order_events known
        where known.order_id = told.order_id and known.fingerprint = told.fingerprint) is null
    on conflict do nothing
    returning order_id, before
), kept as (
    insert into orders (id, session, fence, contract, side, quantity, type, role, created_at, market_at,
        limit_ticks, limit_price, stop_ticks, stop_price, time_in_force, state, filled, average, broker_id, parent,
        in_flight, changed_at, reason, revision)
    select o.id, holder.id, o.fence, o.contract, o.side, o.quantity, o.type, o.role, o.created_at, o.market_at,
        o.limit_ticks, o.limit_price, o.stop_ticks, o.stop_price, o.time_in_force, o.state, o.filled, o.average,
        o.broker_id, o.parent, o.in_flight, o.changed_at, o.reason, coalesce(o.revision, 0)
    from holder, jsonb_populate_recordset(null::orders, %(orders)s::jsonb) as o
    on conflict (id) do update set
        quantity = excluded.quantity, limit_ticks = excluded.limit_ticks, limit_price = excluded.limit_price,
        stop_ticks = excluded.stop_ticks, stop_price = excluded.stop_price, state = excluded.state,
        filled = excluded.filled, average = excluded.average,
        broker_id = coalesce(excluded.broker_id, orders.broker_id), parent = excluded.parent,
        in_flight = excluded.in_flight, changed_at = excluded.changed_at, reason = excluded.reason,
        revision = excluded.revision
    where (
        exists (select from news where news.order_id = orders.id)
        or not exists (select from told where told.order_id = orders.id)
    ) and (
        orders.state in ('pre_sent', 'pending', 'submitted', 'partially_filled')
        or excluded.state not in ('pre_sent', 'pending', 'submitted', 'partially_filled')
        or exists (select from news where news.order_id = orders.id and news.before = orders.state)
    )
    returning id
), booked as (
    insert into fills
        (order_id, broker_id, session, contract, side, quantity, cumulative, price, at, market_at, kind, revision)
    select f.order_id, f.broker_id, holder.id, f.contract, f.side, f.quantity, f.cumulative, f.price, f.at,
        f.market_at, coalesce(f.kind, 'own'), coalesce(f.revision, 0)
    from holder, jsonb_populate_recordset(null::fills, %(fills)s::jsonb) with ordinality as f
    order by f.at, f.ordinality
    on conflict (order_id, revision, cumulative) do nothing
    returning order_id
)
select (select count(*) from holder) as held, (select count(*) from kept) as kept,
       (select count(*) from news) as news, (select count(*) from booked) as booked

-- name: enter_orders
-- The first rows of new orders, and nothing else. An order is sent only when this is done, so it is lean. The
-- fence is held as in `save_orders`, and repeating is harmless. $1 session, $2 fence, $3 orders, $4 one event of each.
with holder as materialized (
    select id from sessions where id = $1::bigint and fence = $2::bigint for share
), kept as (
    insert into orders (id, session, fence, contract, side, quantity, type, role, created_at, market_at,
        limit_ticks, limit_price, stop_ticks, stop_price, time_in_force, state, filled, average, broker_id, parent,
        in_flight, changed_at, reason, revision)
    select o.id, holder.id, o.fence, o.contract, o.side, o.quantity, o.type, o.role, o.created_at, o.market_at,
        o.limit_ticks, o.limit_price, o.stop_ticks, o.stop_price, o.time_in_force, o.state, o.filled, o.average,
        o.broker_id, o.parent, o.in_flight, o.changed_at, o.reason, o.revision
    from holder, jsonb_populate_recordset(null::orders, $3::jsonb) as o
    on conflict do nothing
), news as (
    insert into order_events (order_id, sequence, at, source, before, after, what, filled, details, fingerprint)
    select event.order_id, 1, event.at, event.source, event.before, event.after, event.what, event.filled,
           event.details, event.fingerprint
    from holder, jsonb_populate_recordset(null::order_events, $4::jsonb) as event
    on conflict do nothing
)
select count(*) from holder

-- name: orders
select * from (
    select * from orders
    where %(session)s::bigint is null or session = %(session)s::bigint
    order by created_at desc, id desc
    limit %(limit)s) newest
order by created_at, id

-- name: open_orders
select * from orders
where session = %(session)s and state in ('pre_sent', 'pending', 'submitted', 'partially_filled')
order by created_at, id

-- name: claimed
select id, broker_id from (
    select id, broker_id, created_at from orders
    where session = %(session)s and broker_id is not null
    order by created_at desc, id desc
    limit %(limit)s) newest
order by created_at, id

-- name: order_events
select * from order_events where order_id = %(order_id)s order by sequence
