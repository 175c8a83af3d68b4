-- Portfolios: sessions whose heat is limited together. A portfolio never changes; a person removes it and makes another.
create table portfolios (
    name text primary key,         -- what people call it
    spec jsonb not null,           -- PortfolioSpec.to_dict()
    created_at bigint not null     -- ns
);

-- Which portfolio a session is in: one at most.
create table portfolio_sessions (
    session bigint primary key references sessions (id),
    portfolio text not null references portfolios (name) on delete cascade,  -- it goes with the portfolio
    added_at bigint not null       -- ns
);

-- When entries of a portfolio were refused for its heat, from the first refusal to the moment it would have fitted.
create table heat_blocks (
    number bigint generated always as identity primary key,
    portfolio text not null,       -- portfolios.name, also of one that was removed
    reason text not null,          -- the first refusal, or the heat that was above the threshold
    began_at bigint not null,      -- ns
    ended_at bigint,               -- ns; null while it stands
    unique (portfolio, began_at)
);
