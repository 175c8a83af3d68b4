-- From where a session's losses are counted: the profit at the open of the market day, and the highest one. Neither
-- follows from the fills, for a position's profit has prices that nobody keeps.
create table loss_marks (
    session bigint primary key,      -- sessions.id
    day_opened_at bigint not null,   -- ns; when the market day opened
    day_start numeric not null,      -- money; realized and open profit at that moment
    peak numeric not null,           -- money; the highest since the beginning, or since it was re-armed
    armed_at bigint not null         -- ns; when a person re-armed the limits, 0 for never
);
