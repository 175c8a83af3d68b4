-- From where the losses of a portfolio or an account are counted. Its sessions' fills do not give it: sessions join and
-- leave, and an open position's profit has prices that nobody keeps.
create table joint_marks (
    scope text primary key,          -- as portfolio:main or account:SIM1; a later portfolio of that name begins anew
    day_opened_at bigint not null,   -- ns; when the market day opened
    day_start numeric not null,      -- money; the gain at that moment; of an account 0, or its day's profit when re-armed
    peak numeric not null,           -- money; the highest gain since the beginning, or since it was re-armed
    armed_at bigint not null,        -- ns; when a person re-armed the limits, 0 for never
    gain numeric not null,           -- money; what all have made together since the count began
    profits jsonb not null           -- profit by session number that is part of the gain; of an account its equity
);
