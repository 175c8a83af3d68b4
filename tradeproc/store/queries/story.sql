-- name: read_only
select set_config('default_transaction_read_only', 'on', false)

-- name: story_orders
-- By our id or the broker's, which may name orders of several accounts.
select * from orders
where (id = %(named)s or broker_id = %(named)s) and (%(session)s::bigint is null or session = %(session)s::bigint)
order by created_at desc, id desc
limit 10

-- name: story_session
select id from sessions where id::text = %(named)s or name = %(named)s
order by (id::text = %(named)s) desc, removed_at desc nulls first, id desc
limit 1

-- name: story_number
-- The orders of a session are counted from 1 in the order in which they were made.
select * from orders where session = %(session)s::bigint order by created_at, id offset %(before)s::bigint limit 1

-- name: story_family
select * from orders where id = %(id)s or parent = %(id)s order by created_at, id

-- name: story_events
select * from order_events where order_id = any(%(ids)s::text[]) order by at, order_id, sequence

-- name: story_fills
select * from fills where order_id = any(%(ids)s::text[]) order by number

-- name: story_trades
select * from trades
where session = %(session)s::bigint and (entry_order = any(%(ids)s::text[]) or exit_order = any(%(ids)s::text[]))
order by number

-- name: story_divergences
select * from divergences where session = %(session)s::bigint and subject = any(%(ids)s::text[]) order by number

-- name: story_decisions
select * from decisions where session = %(session)s::bigint and at = %(at)s::bigint order by number

-- name: story_alarms
select * from alarms
where session = %(session)s::bigint and at between %(since)s::bigint and %(until)s::bigint
order by number
limit 50

-- name: story_heat_answers
select * from heat_answers where session = %(session)s::bigint and order_id = any(%(ids)s::text[]) order by number

-- name: story_rolls
-- All steps of the rolls that closed or opened with these orders.
select * from rolls where session = %(session)s::bigint and id in (
    select id from rolls where session = %(session)s::bigint
        and string_to_array(close_orders || ' ' || entry_orders, ' ') && %(ids)s::text[])
order by number

-- name: story_outside
-- What moved the position by no order of ours.
select * from fills
where session = %(session)s::bigint and kind <> 'own' and at between %(since)s::bigint and %(until)s::bigint
order by number
limit 50

-- name: story_heat_blocks
-- The blocks that stood in the portfolio to which the session belongs or belonged when it asked.
select * from heat_blocks
where began_at <= %(until)s::bigint and coalesce(ended_at, %(since)s::bigint) >= %(since)s::bigint and portfolio in (
    select portfolio from portfolio_sessions where session = %(session)s::bigint
    union select portfolio from heat_answers where session = %(session)s::bigint and at between %(since)s::bigint
        and %(until)s::bigint)
order by number
limit 50

-- name: story_decided
-- Equal decisions in a row are one row, so the newest that began until then may have gone on after it.
select * from (
    select * from decisions where session = %(session)s::bigint and began_at <= %(at)s::bigint
    order by number desc limit 5) newest
order by number

-- name: story_standing
select * from alarms
where session = %(session)s::bigint and at <= %(at)s::bigint and coalesce(cleared_at, %(at)s::bigint + 1) > %(at)s::bigint
order by number
limit 50

-- name: story_refused
select * from (
    select * from decisions where session = %(session)s::bigint and refusal <> ''
    order by number desc limit %(limit)s::bigint) newest
order by number
