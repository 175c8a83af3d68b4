-- A session takes its bars from a login of its own choice; one that names none takes them from the login of its orders.
alter table sessions
    add column data_login text generated always as
        (coalesce(nullif(spec ->> 'data_login', ''), spec ->> 'login')) stored;  -- login that serves its bars
