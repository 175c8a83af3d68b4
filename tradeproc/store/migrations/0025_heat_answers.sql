-- What a decision was held against, and what the portfolio answered to the questions for heat: notes for people who ask
-- why, as decisions are. Only the newest answers of a session are kept.
alter table decisions add column limits jsonb not null default '{}'; -- limit: how much was used "of" how much
create table heat_answers (
    number bigint generated always as identity primary key,
    session bigint not null,          -- sessions.id
    order_id text not null,           -- orders.id of the entry, or of the order that was to change
    portfolio text not null,          -- portfolios.name
    heat numeric not null,            -- money that was asked for
    currency text not null,           -- of the money
    asked_at bigint not null,         -- ns
    at bigint not null,               -- ns of the answer
    answer text not null,             -- granted or refused
    reason text not null              -- why it was refused
);
create index heat_answers_newest on heat_answers (session, number desc);
