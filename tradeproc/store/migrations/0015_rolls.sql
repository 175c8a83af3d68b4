-- Each step of a session out of one contract into the next, written before it is acted on; the newest row counts.
create table rolls (
    number bigint generated always as identity primary key,
    id text not null,                 -- of the roll; all its steps have it
    session bigint not null,          -- sessions.id
    contract text not null,           -- canonical code that is left
    next_contract text not null,      -- canonical code that is entered
    step text not null,               -- closing, flat, switched, reopening, rolled or given_up
    by text not null,                 -- who asked for it
    reason text not null,             -- why, or how it ended
    quantity integer not null,        -- contracts, signed: the position when it began
    reopen integer not null,          -- contracts, signed: to open again
    spread bigint,                    -- ticks, next contract minus the old one; null: nobody knows
    price bigint,                     -- ticks of the old contract when the spread was taken
    stop bigint,                      -- ticks, of the old contract's stop loss
    target bigint,                    -- ticks, of the old contract's target
    close_orders text not null,       -- orders.id of its exits, blanks between
    entry_orders text not null,       -- orders.id of its entries, blanks between
    market_at bigint not null,        -- ns of market time to which the spread belongs
    began_at bigint not null,         -- ns
    at bigint not null,               -- ns of this step
    unique (id, step, reopen, close_orders, entry_orders)
);
create index rolls_of_session on rolls (session, number desc);
create trigger rolls_are_append_only before update or delete on rolls
    for each row execute function refuse_change();
