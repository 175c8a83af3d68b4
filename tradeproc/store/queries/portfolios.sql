-- name: create_portfolio
with made as (
    insert into portfolios (name, spec, created_at) values (%(name)s, %(spec)s::jsonb, %(at)s)
    on conflict (name) do nothing returning name),
placed as (
    insert into portfolio_sessions (session, portfolio, added_at)
    select value::bigint, made.name, %(at)s from made, jsonb_array_elements_text(%(sessions)s::jsonb) as value)
select name from made

-- name: remove_portfolio
-- What its losses count from stays: limits are changed by removing a portfolio and creating it again.
delete from portfolios where name = %(name)s returning name

-- name: portfolios
select name, spec, created_at from portfolios order by name

-- name: add_to_portfolio
insert into portfolio_sessions (session, portfolio, added_at)
select %(session)s, name, %(at)s from portfolios where name = %(portfolio)s
on conflict (session) do nothing returning session

-- name: take_from_portfolio
delete from portfolio_sessions where session = %(session)s and portfolio = %(portfolio)s returning session

-- name: portfolio_sessions
select session, portfolio, added_at from portfolio_sessions
join sessions on sessions.id = session
where removed_at is null order by session

-- name: portfolio_of_session
select name, spec, portfolios.created_at, added_at from portfolios
join portfolio_sessions on portfolio = name where session = %(session)s

-- name: sessions_with_exposure
-- Those that hold a position, or have an order that can still fill, as far as the database knows.
select session from orders where state in ('pre_sent', 'pending', 'submitted', 'partially_filled')
union
select session from (
    select distinct on (session, contract) session, quantity from positions
    order by session, contract, number desc) newest
where quantity <> 0

-- name: begin_heat_block
insert into heat_blocks (portfolio, reason, began_at)
select %(portfolio)s, %(reason)s, %(began_at)s
where not exists (select from heat_blocks where portfolio = %(portfolio)s and ended_at is null)
returning number

-- name: end_heat_block
update heat_blocks set ended_at = %(at)s where portfolio = %(portfolio)s and ended_at is null returning number

-- name: heat_blocks
select * from (
    select portfolio, reason, began_at, ended_at from heat_blocks
    where %(portfolio)s::text is null or portfolio = %(portfolio)s::text
    order by began_at desc, portfolio limit %(limit)s) newest
order by began_at, portfolio

-- name: save_joint_marks
insert into joint_marks (scope, day_opened_at, day_start, peak, armed_at, gain, profits)
values (%(scope)s, %(day_opened_at)s, %(day_start)s, %(peak)s, %(armed_at)s, %(gain)s, %(profits)s::jsonb)
on conflict (scope) do update set day_opened_at = excluded.day_opened_at, day_start = excluded.day_start,
    peak = excluded.peak, armed_at = excluded.armed_at, gain = excluded.gain, profits = excluded.profits
returning scope

-- name: joint_marks
select scope, day_opened_at, day_start, peak, armed_at, gain, profits from joint_marks order by scope
