-- name: save_divergence
insert into divergences (session, kind, subject, ours, brokers, cause, at)
values (%(session)s, %(kind)s, %(subject)s, %(ours)s, %(brokers)s, %(cause)s, %(at)s)
on conflict (session, kind, subject, at) do nothing

-- name: close_divergences
update divergences set closed_at = %(at)s
where session = %(session)s and closed_at is null and (%(kind)s::text is null or kind::text = %(kind)s)
    and (%(subject)s::text is null or subject = %(subject)s)

-- name: divergences
select session, kind, subject, ours, brokers, cause, at, closed_at,
    acknowledged_at, acknowledged_by, acknowledged_reason
from divergences
where (%(session)s::bigint is null or session = %(session)s::bigint)
    and (not %(only_open)s::boolean or closed_at is null)
order by number

-- name: acknowledge_divergences
update divergences
set acknowledged_at = %(now)s, acknowledged_by = %(by)s, acknowledged_reason = %(reason)s
where acknowledged_at is null and at <= %(now)s::bigint
    and (%(session)s::bigint is null or session = %(session)s::bigint)
returning session, kind, subject, at

-- name: acknowledge_alarms
-- Only standing alarms: the health check does not report one that is over.
update alarms
set acknowledged_at = %(now)s, acknowledged_by = %(by)s, acknowledged_reason = %(reason)s
where acknowledged_at is null and cleared_at is null
    and (%(everywhere)s::boolean or session is not distinct from %(session)s::bigint)
    and (%(name)s::text is null or name = %(name)s)
returning session, name, at

-- name: save_alarm
insert into alarms (session, name, detail, at, who) values (%(session)s, %(name)s, %(detail)s, %(at)s, %(who)s)
on conflict (session, name, at) do nothing

-- name: clear_alarms
update alarms set cleared_at = %(at)s
where session is not distinct from %(session)s::bigint and cleared_at is null
    and (%(name)s::text is null or name = %(name)s)

-- name: alarms
select session, name, detail, at, cleared_at, acknowledged_at, acknowledged_by, acknowledged_reason, who
from alarms
where (%(session)s::bigint is null or session = %(session)s::bigint)
    and (not %(only_standing)s::boolean or cleared_at is null)
order by number

-- name: latch
select scope, state, by, reason, at from latches where scope = %(scope)s

-- name: latches
select scope, state, by, reason, at from latches order by scope

-- name: latched_by
-- Why a process latched a scope after it was last active, whoever has latched it further meanwhile.
select reason from latch_changes
where scope = %(scope)s and by = %(by)s and state <> 'active' and number > coalesce(
    (select max(number) from latch_changes where scope = %(scope)s and state = 'active'), 0)
order by number desc limit 1

-- name: lifted_at
-- When a latch that a process had set was lifted the newest time; a latch of its that stands is not lifted.
select min(at) as at from latch_changes
where scope = %(scope)s and state = 'active' and number > (
    select max(number) from latch_changes where scope = %(scope)s and by = %(by)s and state <> 'active')

-- name: set_latch
-- One that comes late, from a file of an earlier life, counts only when it is newer than what is stored or closes
-- more. Any other counts whatever the clock says, and is told once.
with kept as (
    insert into latches (scope, state, by, reason, at)
    values (%(scope)s, %(state)s, %(by)s, %(reason)s, %(at)s)
    on conflict (scope) do update set state = excluded.state, by = excluded.by, reason = excluded.reason,
        at = case when %(is_late)s::boolean then greatest(excluded.at, latches.at + 1) else excluded.at end
    where latches.at <> excluded.at
        and (not %(is_late)s::boolean or excluded.at > latches.at or excluded.state > latches.state)
    returning scope, state, by, reason, at
)
insert into latch_changes (scope, state, by, reason, at) select scope, state, by, reason, at from kept

-- name: trip_latch
-- A process closes what stands open; what a person closed, as much or more, is not touched. A journal may repeat it
-- after a person has resumed: what is in the history is not done again.
with kept as (
    insert into latches (scope, state, by, reason, at)
    select %(scope)s, %(state)s::trading_state, %(by)s, %(reason)s, %(at)s
    where not exists (select from latch_changes where scope = %(scope)s and by = %(by)s and at = %(at)s)
    on conflict (scope) do update set state = excluded.state, by = excluded.by, reason = excluded.reason,
        at = excluded.at
    where latches.state < excluded.state
    returning scope, state, by, reason, at
)
insert into latch_changes (scope, state, by, reason, at) select scope, state, by, reason, at from kept
