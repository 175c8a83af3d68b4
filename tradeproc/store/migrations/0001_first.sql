-- The audit trail. Every moment is UTC wall clock in nanoseconds since 1970 (bigint) unless its comment says
-- market time; `select moment(at)` shows one as a timestamp. Prices are numeric points on the exchange's scale.
-- Rows of the hot path (orders, order_events, fills) carry no foreign keys: the statement that writes them
-- proves the session and its fence, and saves a lookup a row.

create function moment(bigint) returns timestamptz
    language sql immutable strict
    return timestamptz '1970-01-01 00:00:00+00' + make_interval(secs => $1 / 1000000000) + make_interval(secs => ($1 % 1000000000) / 1e9);

create function refuse_change() returns trigger
    language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end
$$;

create type side as enum ('buy', 'sell');
create type order_type as enum ('market', 'limit', 'stop', 'stop_limit');
create type time_in_force as enum ('day', 'gtc', 'ioc', 'fok');
create type order_role as enum ('entry', 'exit', 'stop_loss', 'profit_target');
create type order_state as enum
    ('pre_sent', 'pending', 'submitted', 'partially_filled', 'filled', 'cancelled', 'rejected', 'expired');
create type order_source as enum
    ('strategy', 'trader', 'broker_reply', 'broker_stream', 'reconciliation', 'operator');
create type divergence_kind as enum
    ('position', 'order_state', 'order_filled', 'order_missing_at_broker', 'order_unknown_to_us');
create type desired_state as enum ('running', 'stopped');
create type trading_state as enum ('active', 'reducing', 'halted');

create table installation (
    only_one boolean primary key default true check (only_one),  -- there is one row
    prefix text not null check (prefix ~ '^[a-z2-7]{4}$'),       -- first four characters of every client order id
    created_at bigint not null                                   -- ns
);

create table logins (
    name text primary key,       -- as configured
    broker text not null,        -- key of the broker
    environment text not null,   -- paper or live
    base_url text not null,      -- empty: the broker's own host
    changed_at bigint not null   -- ns; when anything above last changed
);

create table accounts (
    login text not null references logins,  -- who may use it
    id text not null,                       -- the broker's account id
    kind text not null,                     -- the broker's word, as futures or margin
    currency text not null,                 -- ISO code
    is_tradable boolean not null,           -- false: closed, restricted or data only
    status text not null,                   -- the broker's word
    seen_at bigint not null,                -- ns; when the broker last listed it
    primary key (login, id)
);

create table sessions (
    id bigint generated always as identity primary key,  -- part of every client order id
    key text not null unique,                            -- drawn by the creator: creating twice gives one session
    name text not null,                                  -- the person's name for it
    spec jsonb not null,                                 -- SessionSpec.to_dict()
    desired desired_state not null default 'stopped',    -- what the keeper makes true
    fence bigint not null default 0,                     -- +1 at each lease; writes with an older one are refused
    holder text not null default '',                     -- who took the lease last
    leased_at bigint,                                    -- ns
    created_at bigint not null,                          -- ns
    changed_at bigint not null,                          -- ns; of desired
    removed_at bigint                                    -- ns; a removed session keeps its history
) with (fillfactor = 50);

create table orders (
    id text primary key check (length(id) <= 22),  -- client order id, unique for ever
    session bigint not null,                       -- sessions.id
    fence bigint not null,                         -- lease under which it was created
    contract text not null,                        -- canonical code, as ESH24
    side side not null,
    quantity integer not null check (quantity > 0),                     -- contracts
    type order_type not null,
    role order_role not null,
    created_at bigint not null,                                         -- ns
    market_at bigint not null,                                          -- ns, market time of the decision
    limit_ticks bigint,                                                 -- ticks of the instrument
    limit_price numeric,                                                -- points = limit_ticks x tick size
    stop_ticks bigint,                                                  -- ticks of the instrument
    stop_price numeric,                                                 -- points = stop_ticks x tick size
    time_in_force time_in_force not null,
    state order_state not null,
    filled integer not null check (filled >= 0),                        -- contracts, cumulative
    average numeric,                                                    -- points; the broker's average fill price
    broker_id text,                                                     -- null until the broker told it
    parent text,                                                        -- id of the entry, for legs of a bracket
    in_flight text check (in_flight in ('modify', 'cancel')),           -- asked and not answered yet
    changed_at bigint not null,                                         -- ns
    reason text not null                                                -- why rejected, cancelled …; else empty
) with (fillfactor = 70);
create index orders_by_session on orders (session, created_at);
create index orders_open on orders (session)
    where state in ('pre_sent', 'pending', 'submitted', 'partially_filled');

create table order_events (
    order_id text not null,            -- orders.id
    sequence integer not null,         -- 1, 2, 3 … within the order
    at bigint not null,                -- ns
    source order_source not null,      -- who caused it
    before order_state,                -- null for the first
    after order_state not null,        -- equal to before when only something else changed
    what text not null,                -- event name
    filled integer not null,           -- contracts, cumulative
    details jsonb not null,            -- texts by name
    fingerprint bigint not null,       -- hash of all above but sequence: a row told twice is kept once
    primary key (order_id, sequence),
    unique (order_id, fingerprint)
);
create trigger order_events_are_append_only before update or delete on order_events
    for each row execute function refuse_change();
create trigger order_events_are_kept before truncate on order_events
    for each statement execute function refuse_change();

create table fills (
    number bigint generated always as identity,      -- order of booking
    order_id text not null,                          -- orders.id; empty for orders that are not ours
    broker_id text not null,                         -- the broker's order id
    session bigint not null,                         -- sessions.id
    contract text not null,                          -- canonical code
    side side not null,
    quantity integer not null check (quantity > 0),  -- contracts of this increase
    cumulative integer not null,                     -- contracts filled after it
    price numeric not null,                          -- points; may lie off the tick grid
    at bigint not null,                              -- ns
    market_at bigint not null,                       -- ns, market time
    primary key (order_id, cumulative)
);
create index fills_by_session on fills (session, number);
create trigger fills_are_append_only before update or delete on fills
    for each row execute function refuse_change();

-- Whoever books a fill asks for its session's trades in the same transaction. A job that still waits will see this
-- fill; one that is running may not, and the sweep of procs/jobs/main.py finds what fell between.
create function ask_for_trades() returns trigger
    language plpgsql as $$
declare
    of_session bigint;
begin
    for of_session in select distinct session from booked loop
        begin
            if not exists (select from procrastinate_jobs
                           where status = 'todo' and queueing_lock = 'trades:' || of_session) then
                perform procrastinate_defer_jobs_v1(array[row(
                    'default', 'trades', 0, null, 'trades:' || of_session,
                    jsonb_build_object('session', of_session), null)::procrastinate_job_to_defer_v1]);
            end if;
        exception when others then
            raise warning 'trades of session % not asked for: %', of_session, sqlerrm;
        end;
    end loop;
    return null;
end
$$;
create trigger fills_ask_for_trades after insert on fills
    referencing new table as booked for each statement execute function ask_for_trades();

create table trades (
    session bigint not null,          -- sessions.id
    number integer not null,          -- 1, 2, 3 … in order of closing
    contract text not null,           -- canonical code
    side side not null,               -- of the entry
    quantity integer not null,        -- contracts
    entry_price numeric not null,     -- points
    exit_price numeric not null,      -- points
    entered_at bigint not null,       -- ns
    exited_at bigint not null,        -- ns
    profit numeric not null,          -- in the instrument's currency, before fees
    entry_order text not null,        -- orders.id
    exit_order text not null,         -- orders.id
    primary key (session, number)
);

create table trades_computed (
    session bigint primary key,       -- sessions.id
    fills integer not null,           -- how many of its fills the trades above were computed from
    at bigint not null                -- ns
);

create table positions (
    number bigint generated always as identity primary key,  -- history: a row a change
    session bigint not null,                                 -- sessions.id
    account text not null,                                   -- the broker's account id
    contract text not null,                                  -- canonical code
    quantity integer not null,                               -- contracts, signed: + long, - short
    average numeric,                                         -- points; null when flat
    source text not null,                                    -- fills, broker_stream or reconciliation
    at bigint not null                                       -- ns
);
create index positions_newest on positions (session, contract, number desc);

create table balances (
    number bigint generated always as identity primary key,  -- history: a row a change
    account text not null,                                   -- the broker's account id
    currency text not null,                                  -- ISO code of the amounts
    cash numeric not null,                                   -- settled money
    equity numeric not null,                                 -- cash and open profit
    realized numeric not null,                               -- profit of the day
    unrealized numeric not null,                             -- open profit
    at bigint not null                                       -- ns; when the broker told it
);
create index balances_newest on balances (account, number desc);

create table divergences (
    number bigint generated always as identity primary key,
    session bigint not null,          -- sessions.id
    kind divergence_kind not null,    -- what the two views disagreed about
    subject text not null,            -- order id, broker id or contract
    ours text not null,               -- our side before it was corrected
    brokers text not null,            -- the broker's side, which won
    cause text not null,              -- what explains it, or unexplained
    at bigint not null,               -- ns; when it was found
    closed_at bigint,                 -- ns; when both sides agreed again, null while open
    unique (session, kind, subject, at)
);
create index divergences_open on divergences (session) where closed_at is null;

create table alarms (
    number bigint generated always as identity primary key,
    session bigint,                   -- sessions.id; null: the host
    name text not null,               -- as live_stop_missing
    detail text not null,             -- one line for a person
    at bigint not null,               -- ns
    cleared_at bigint,                -- ns; null while it stands
    unique nulls not distinct (session, name, at)
);
create index alarms_standing on alarms (at) where cleared_at is null;

create table latches (
    scope text primary key,           -- host, portfolio:<n> or session:<id>
    state trading_state not null,     -- no row means active
    by text not null,                 -- who set it
    reason text not null,             -- why
    at bigint not null                -- ns
);

create table latch_changes (
    number bigint generated always as identity primary key,
    scope text not null,              -- as in latches
    state trading_state not null,
    by text not null,
    reason text not null,
    at bigint not null                -- ns
);
create trigger latch_changes_are_append_only before update or delete on latch_changes
    for each row execute function refuse_change();
