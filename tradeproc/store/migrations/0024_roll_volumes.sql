-- What a session's contract and the next one traded on a market day, for sessions that roll by volume; told once a day.
create table roll_volumes (
    session bigint not null,          -- sessions.id
    contract text not null,           -- canonical code
    next_contract text not null,      -- canonical code of the next one
    day text not null,                -- trade date of the exchange, as 2025-12-10
    volume bigint not null,           -- contracts that the session's traded
    next_volume bigint not null,      -- contracts that the next one traded
    at bigint not null,               -- ns; when it was asked
    primary key (session, contract, next_contract, day)
);
