-- What strategies wanted and what became of it: "why does it not trade?" has its answer here. The same refusal again
-- and again is one row that counts; only the newest rows of a session are kept. A note, not the audit of orders.
create table decisions (
    number bigint generated always as identity primary key,
    session bigint not null,                  -- sessions.id
    began_at bigint not null,                 -- ns; the first of them
    at bigint not null,                       -- ns; the newest of them
    times integer not null check (times > 0), -- how many in a row
    market_at bigint not null,                -- ns; market time of the newest, 0 before the first candle
    decision text not null,                   -- its kind, as SubmitBracket; "failed" when the strategy failed
    reason text not null,                     -- the strategy's own words
    refusal text not null,                    -- why it was not carried out; empty when it was
    unique (session, began_at)
);
create index decisions_newest on decisions (session, number desc);
