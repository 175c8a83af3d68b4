-- name: create_session
insert into sessions (key, name, spec, created_at, changed_at)
values (%(key)s, %(name)s, %(spec)s::jsonb, %(at)s, %(at)s)
on conflict (key) do update set key = excluded.key
returning id

-- name: sessions
select id, spec, desired, fence, holder, leased_at, created_at, changed_at
from sessions where removed_at is null order by id

-- name: session
select id, spec, desired, fence, holder, leased_at, created_at, changed_at
from sessions where id = %(id)s and removed_at is null

-- name: removed_sessions
-- The specification as it was kept: a newer version may not read it any more.
select id, name, spec, fence, holder, created_at, changed_at, removed_at
from sessions where removed_at is not null and (name = %(named)s or id::text = %(named)s)
order by id desc limit %(limit)s

-- name: set_desired
update sessions set desired = %(desired)s, changed_at = %(at)s
where id = %(id)s and removed_at is null
returning id

-- name: remove_session
update sessions set removed_at = %(at)s, desired = 'stopped', changed_at = %(at)s
where id = %(id)s and removed_at is null
returning id

-- name: take_lease
-- The advisory lock belongs to the connection and falls with it; 7463 marks ours among other users of the server.
select pg_try_advisory_lock(7463, %(session)s::integer) as is_taken

-- name: raise_fence
update sessions set fence = fence + 1, holder = %(holder)s, leased_at = %(at)s
where id = %(session)s and removed_at is null
returning fence

-- name: lease_holder
select holder, leased_at from sessions where id = %(session)s

-- name: installation
select prefix from installation

-- name: create_installation
insert into installation (prefix, created_at) values (%(prefix)s, %(at)s) on conflict do nothing

-- name: commit_durably
select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'

-- name: is_up
select 1 as up

-- name: save_login
insert into logins (name, broker, environment, base_url, changed_at)
values (%(name)s, %(broker)s, %(environment)s, %(base_url)s, %(changed_at)s)
on conflict (name) do update set broker = excluded.broker, environment = excluded.environment,
    base_url = excluded.base_url, changed_at = excluded.changed_at
where (logins.broker, logins.environment, logins.base_url)
    is distinct from (excluded.broker, excluded.environment, excluded.base_url)

-- name: logins
select name, broker, environment, base_url, changed_at from logins order by name

-- name: save_accounts
insert into accounts (login, id, kind, currency, is_tradable, status, seen_at)
select login, id, kind, currency, is_tradable, status, seen_at
from jsonb_populate_recordset(null::accounts, %(accounts)s::jsonb)
on conflict (login, id) do update set kind = excluded.kind, currency = excluded.currency,
    is_tradable = excluded.is_tradable, status = excluded.status, seen_at = excluded.seen_at

-- name: accounts
select login, id, kind, currency, is_tradable, status, seen_at from accounts
where %(login)s::text is null or login = %(login)s order by login, id
