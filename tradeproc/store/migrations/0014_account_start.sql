-- What the account had made on the day when a person re-armed the limits: its loss of the day counts from there.
alter table loss_marks
    add column account_start numeric not null default 0;   -- money; 0 on a day without re-arming
