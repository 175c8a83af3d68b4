-- name: make_migrations_table
create table if not exists schema_migrations (
    part text not null,          -- tradeproc, or procrastinate for the job queue's own
    name text not null,          -- file name
    checksum text not null,      -- sha256 of the file when it was applied
    applied_at bigint not null,  -- ns
    primary key (part, name)
)

-- name: lock_migrations
select pg_advisory_xact_lock(7463, 0)

-- name: applied_migrations
select part, name, checksum from schema_migrations

-- name: note_migration
insert into schema_migrations (part, name, checksum, applied_at)
values (%(part)s, %(name)s, %(checksum)s, %(at)s)
