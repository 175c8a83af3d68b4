-- Who raised an alarm: the name of the process on the bus. Null in rows that an earlier version wrote.
alter table alarms add column who text;
