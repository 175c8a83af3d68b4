-- A person has seen a divergence or an alarm and knows what to do about it: the health check speaks of it no more.
-- A new one, also of the same kind, is a row of its own and speaks again.
alter table divergences
    add column acknowledged_at bigint,    -- ns; null while nobody has
    add column acknowledged_by text,      -- who
    add column acknowledged_reason text;  -- in their words
alter table alarms
    add column acknowledged_at bigint,    -- ns; null while nobody has
    add column acknowledged_by text,      -- who
    add column acknowledged_reason text;  -- in their words
