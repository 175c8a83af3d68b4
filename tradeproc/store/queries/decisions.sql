-- name: save_decisions
-- A row that is told again counts further; the oldest beyond those kept go.
with given as (
    insert into decisions (session, began_at, at, times, market_at, decision, reason, refusal, limits)
    select %(session)s, began_at, at, times, market_at, decision, reason, refusal, limits
    from jsonb_populate_recordset(null::decisions, %(decisions)s::jsonb)
    order by began_at
    on conflict (session, began_at) do update set at = excluded.at, times = excluded.times,
        market_at = excluded.market_at, reason = excluded.reason, refusal = excluded.refusal, limits = excluded.limits
)
delete from decisions
where session = %(session)s and number < (
    select number from decisions where session = %(session)s order by number desc offset %(kept)s limit 1)
returning number

-- name: decisions
select * from (
    select number, session, began_at, at, times, market_at, decision, reason, refusal, limits from decisions
    where (%(session)s::bigint is null or session = %(session)s::bigint)
        and (not %(only_refused)s::boolean or refusal <> '')
    order by number desc
    limit %(limit)s) newest
order by number

-- name: decision_counts
select coalesce(sum(times) filter (where decision <> 'failed'), 0)::bigint as wanted,
    coalesce(sum(times) filter (where decision <> 'failed' and refusal <> ''), 0)::bigint as refused,
    coalesce(sum(times) filter (where decision = 'failed'), 0)::bigint as failed
from decisions
where session = %(session)s

-- name: save_heat_answers
-- An answer that is told again, because its reply was lost, is kept once; the oldest beyond those kept go.
with given as (
    insert into heat_answers (session, order_id, portfolio, heat, currency, asked_at, at, answer, reason)
    select %(session)s, order_id, portfolio, heat, currency, asked_at, at, answer, reason
    from jsonb_populate_recordset(null::heat_answers, %(answers)s::jsonb) told
    where not exists (
        select from heat_answers kept
        where (kept.session, kept.order_id, kept.asked_at, kept.at)
            = (%(session)s::bigint, told.order_id, told.asked_at, told.at))
    order by at
)
delete from heat_answers
where session = %(session)s and number < (
    select number from heat_answers where session = %(session)s order by number desc offset %(kept)s limit 1)
returning number

-- name: heat_answers
select * from heat_answers where session = %(session)s order by number
