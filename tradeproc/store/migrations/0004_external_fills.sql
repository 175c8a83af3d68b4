-- Position, trades and profit follow from the fills alone, so whatever changed the position is a row of them: also a
-- change by no order of ours, and a fill that the broker took back.
alter table fills
    add column kind text not null default 'own'       -- own; external: no order of ours did it; reversal: taken back
        check (kind in ('own', 'external', 'reversal')),
    add column revision integer not null default 0,   -- how often fills of the order were taken back before
    alter column price drop not null,                 -- null: nobody knows it
    drop constraint fills_pkey,
    add primary key (order_id, revision, cumulative);
alter table orders
    add column revision integer not null default 0;   -- how often the broker took back fills of it
alter table trades
    alter column entry_price drop not null,           -- null: nobody knows it
    alter column exit_price drop not null,
    alter column profit drop not null;                -- null: a price is unknown

-- What earlier versions took over from the broker without a row. The price is the average when all of it was taken
-- over, else unknown.
insert into fills (order_id, broker_id, session, contract, side, quantity, cumulative, price, at, market_at, kind)
select 'external-' || held.session || '-' || held.contract, '', held.session, held.contract,
    (case when missing > 0 then 'buy' else 'sell' end)::side, abs(missing), abs(missing),
    case when missing = held.quantity then held.average end, held.at, held.at, 'external'
from (
    select distinct on (session, contract) session, contract, quantity, average, at
    from positions order by session, contract, number desc) held
cross join lateral (
    select held.quantity - coalesce(sum(quantity * case when side = 'buy' then 1 else -1 end), 0) as missing
    from fills where fills.session = held.session and fills.contract = held.contract) booked
where missing <> 0;
